"""How long it is remembered what fired, who was told and who edited what: what is too old goes, a little at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction
from django.db.models import BooleanField, Exists, F, Func, OuterRef, Q, QuerySet

from apps.monitoring.audit.actor import acting
from apps.monitoring.conf import conf
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.models import Alert, AlertState, AlertTransition, AuditEntry, Notification, Silence
from apps.monitoring.rollup import locks, retention

_AT_ONCE: Final = 1_000
"""Rows of a transaction."""
_SECONDS: Final = 60.0
"""Of a run, about; what is left is the next one's."""


@dataclass(slots=True)
class Forgotten:
    """How many rows a run has deleted. ``is_left``: its time was over before it was done."""

    alerts: int = 0
    transitions: int = 0
    notifications: int = 0
    silences: int = 0
    edits: int = 0
    is_left: bool = False
    busy: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """How far one part of the history goes back; ``oldest`` None: nothing is in it."""

    part: str
    kept_days: int
    oldest: datetime | None


def alert_days() -> int:
    """How many days an alert is remembered after its end: at least as long as its minutes are, by which it is explained."""
    return max(conf().retention_alert_days, retention.kept_days(Resolution.MINUTE))


def audit_days() -> int:
    """How many days an edit is remembered: at least as long as what was judged by what it changed."""
    return max(conf().retention_audit_days, alert_days())


def remembered() -> list[Remembered]:
    """Every part."""
    alert, edit = Alert.objects.order_by("fired_at").first(), AuditEntry.objects.order_by("at").first()
    return [
        Remembered("alerts", alert_days(), None if alert is None else alert.fired_at),
        Remembered("edits", audit_days(), None if edit is None else edit.at),
    ]


def forget(now: datetime) -> Forgotten:
    """Delete the history of alerts that ended too long ago, then what told of them, and edits that are too old.

    What is still open, owed or under way stays, however old. Safe to break off anywhere.
    """
    with locks.retention() as mine:
        if not mine:
            return Forgotten(busy=True)
        run = _Run(time.monotonic() + _SECONDS)
        before = now - timedelta(days=alert_days())
        found = Forgotten(
            transitions=run.delete(_loose_transitions(before)),
            alerts=run.delete(_ended(before), _with_transitions),
            notifications=run.delete(_about_forgotten(before)) + run.delete(_beginnings(before)) + run.delete(_ends(before)),
            edits=run.delete(AuditEntry.objects.filter(at__lt=now - timedelta(days=audit_days())).order_by("at")),
        )
        with acting("retention"):
            found.silences = run.delete(Silence.objects.filter(ends_at__lt=before).order_by("ends_at"))
        found.is_left = run.is_over()
        return found


class _Run:
    """Deletes until a moment of the monotonic clock."""

    def __init__(self, until: float) -> None:
        self._until = until

    def is_over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() > self._until

    def delete(self, rows: QuerySet[Any], delete: Callable[[QuerySet[Any]], int] | None = None) -> int:
        """Some at a time, each lot in a transaction; a row that somebody changes at that moment is passed over."""
        deleted = 0
        while not self.is_over():
            with transaction.atomic():
                some = list(rows.select_for_update(skip_locked=True, of=("self",)).values_list("pk", flat=True)[:_AT_ONCE])
                deleted += (delete or _delete)(rows.model.objects.filter(pk__in=some))
            if len(some) < _AT_ONCE:
                break
        return deleted


def _delete(rows: QuerySet[Any]) -> int:
    return rows.delete()[0]


def _with_transitions(alerts: QuerySet[Alert]) -> int:
    AlertTransition.objects.filter(alert__in=alerts).delete()
    return _delete(alerts)


def _ended(before: datetime) -> QuerySet[Alert]:
    """Alerts that ended by then, and nobody has to be told of their end any more."""
    owed = Exists(AlertState.objects.filter(owed=OuterRef("pk")))
    to_tell = Func(
        F("pk"),
        template="%(expressions)s IN (SELECT unnest(alert_ids) FROM monitoring_notification WHERE status = 'pending')",
        output_field=BooleanField(),
    )
    return Alert.objects.filter(~owed, ~Q(to_tell), fired_at__lt=before, resolved_at__lt=before).order_by("fired_at")


def _loose_transitions(before: datetime) -> QuerySet[AlertTransition]:
    """What led to no alert, and the reminders of alerts however long they last."""
    loose = Q(alert=None) | Q(event=AlertTransition.Event.REMINDER)
    return AlertTransition.objects.filter(loose, minute__lt=before).order_by("minute")


def _old(before: datetime) -> QuerySet[Notification]:
    """Of what is not under way."""
    return Notification.objects.filter(created_at__lt=before).exclude(status=Notification.Status.PENDING).order_by("created_at")


def _about_forgotten(before: datetime) -> QuerySet[Notification]:
    """Notifications of alerts that are all forgotten, and tests."""
    remembered = Func(
        F("alert_ids"),
        template="EXISTS (SELECT FROM monitoring_alert a WHERE a.id = ANY(%(expressions)s))",
        output_field=BooleanField(),
    )
    return _old(before).filter(about=None, broken_rule=None).exclude(remembered)


def _beginnings(before: datetime) -> QuerySet[Notification]:
    """That a channel fails or a rule is broken, where it was told to be over.

    They go before their ends do: what has no end would be told to be over once more.
    """
    return _old(before).filter(_both(_old(before), Notification.Kind.RESOLVED, "gt"), kind=Notification.Kind.FIRING)


def _ends(before: datetime) -> QuerySet[Notification]:
    """That it is over, where the beginning is gone."""
    begun = _both(Notification.objects.all(), Notification.Kind.FIRING, "lt")
    return _old(before).filter(~begun, kind=Notification.Kind.RESOLVED).exclude(about=None, broken_rule=None)


def _both(among: QuerySet[Notification], kind: str, when: str) -> Q:
    """Whether the other half, a beginning or an end, is among some notifications."""
    others = among.order_by().filter(kind=kind, channel=OuterRef("channel"))
    of_channel = others.filter(**{"about": OuterRef("about"), f"created_at__{when}": OuterRef("created_at")})
    of_rule = others.filter(broken_rule=OuterRef("broken_rule"), minute=OuterRef("minute"))
    return Q(Exists(of_channel)) | Q(Exists(of_rule))
