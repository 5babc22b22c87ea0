"""What one notification opened at a receiver, and how it stands: an incident, a conversation, a chat message.

An alert belongs, on each channel, to the first notification that named it. So a reminder, an acknowledgement or an end
finds what it goes on with, although a notification may be about many tenants that recover one after the other.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import QuerySet

from apps.monitoring.core.rules import rank
from apps.monitoring.models import Alert, Notification
from apps.monitoring.notify.announcements import announcements, naming
from apps.monitoring.notify.message import Message


@dataclass(frozen=True, slots=True)
class Thread:
    """``id`` is that of the notification that opened it, ``message`` what it said, ``receipt`` what the receiver calls it.

    Of its ``count`` tenants ``open`` still fire, and ``waiting`` of those have nobody who looks after them. ``about`` are
    those that the new notification is about. ``worst`` is the severity that its channel was told of at most, empty when it
    cannot change, and ``taken_on`` whether it was told that somebody looks after one of the tenants.
    """

    id: str
    message: Message
    receipt: Mapping[str, Any]
    count: int
    open: int
    waiting: int
    about: frozenset[str] = frozenset()
    worst: str = ""
    taken_on: bool = False


def threads_of(row: Notification) -> list[Thread]:
    """What a notification goes on with at its channel, oldest first; nothing when it opens something itself.

    The questions to the database are as many for a thousand threads as for one.
    """
    found = _opened(row)
    if row.about_id is not None or row.broken_rule is not None:
        still = int(row.kind != Notification.Kind.RESOLVED)
        return [_thread(opener, still, still) for opener, _ in found]
    stand = _how_they_stand(row, {alert for opener, _ in found for alert in opener.alert_ids})
    return [_thread_of_alerts(opener, hits, stand) for opener, hits in found]


def _opened(row: Notification) -> list[tuple[Notification, frozenset[int]]]:
    """What a notification goes on with, oldest first, each with those of its alerts that it was the first to name."""
    if row.about_id is not None or row.broken_rule is not None:
        opened = Notification.objects.filter(
            channel=row.channel_id,
            about=row.about_id,
            broken_rule=row.broken_rule,
            kind=Notification.Kind.FIRING,
            created_at__lt=row.created_at,
        )
        return [(opener, frozenset()) for opener in opened.order_by("-created_at")[:1]]
    found = []
    missing = set(row.alert_ids)
    for opener in _up_to(row, announcements(row.rule_id, row.alert_ids)):
        hits = frozenset(missing.intersection(opener.alert_ids))
        if hits and opener.pk != row.pk:
            found.append((opener, hits))
        missing -= hits
    return found


@dataclass(frozen=True, slots=True)
class _Standing:
    """How one alert stands, and what the channel was told of it."""

    tenant: str
    open: bool
    waiting: bool
    worst: str
    taken_on: bool


def _how_they_stand(row: Notification, alerts: Collection[int]) -> dict[int, _Standing]:
    worst = _worst(row, alerts)
    taken_on = _taken_on(row, alerts)
    facts = Alert.objects.filter(pk__in=alerts).values_list("pk", "tenant", "resolved_at", "acknowledged_at")
    return {
        pk: _Standing(tenant, ended is None, ended is None and acknowledged is None, worst.get(pk, ""), pk in taken_on)
        for pk, tenant, ended, acknowledged in facts
    }


def _worst(row: Notification, alerts: Collection[int]) -> dict[int, str]:
    """The worst severity that the channel was told of each."""
    worst: dict[int, str] = {}
    told = _up_to(row, announcements(row.rule_id, alerts)).values_list("alert_ids", "payload__rule__severity")
    for named, severity in told:
        worst.update((alert, severity) for alert in named if rank(severity) > rank(worst.get(alert, "")))
    return worst


def _taken_on(row: Notification, alerts: Collection[int]) -> set[int]:
    """Those of which the channel was told that somebody looks after them."""
    told = _up_to(row, Notification.objects.filter(naming(alerts), kind=Notification.Kind.ACKNOWLEDGED))
    return {alert for named in told.values_list("alert_ids", flat=True) for alert in named}


def _thread_of_alerts(opener: Notification, hits: Collection[int], stand: Mapping[int, _Standing]) -> Thread:
    own = [stand[alert] for alert in opener.alert_ids if alert in stand]
    return replace(
        _thread(opener, sum(alert.open for alert in own), sum(alert.waiting for alert in own)),
        about=frozenset(stand[alert].tenant for alert in hits if alert in stand),
        worst=max((alert.worst for alert in own), key=rank, default=""),
        taken_on=any(alert.taken_on for alert in own),
    )


def _up_to(row: Notification, notifications: QuerySet[Notification]) -> QuerySet[Notification]:
    return notifications.filter(channel=row.channel_id, created_at__lte=row.created_at)


def _thread(opener: Notification, still: int, waiting: int) -> Thread:
    message = Message.from_payload(opener.payload)
    return Thread(str(opener.pk), message, opener.receipt, message.count, still, waiting)
