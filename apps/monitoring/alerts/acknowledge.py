"""Somebody looks after an alert: no more reminders until it resolves, or its rule becomes more severe."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from apps.monitoring.core.rules import worst
from apps.monitoring.models import Alert, AlertState
from apps.monitoring.notify import acknowledgement
from apps.monitoring.notify.announcements import severities
from apps.monitoring.rollup import locks


def acknowledge(alerts: Collection[int], user: User | None, now: datetime, note: str = "", who: str = "") -> list[int]:
    """Acknowledge the alerts with these ids; returns the ids of those that were still open and nobody's yet.

    ``who`` is how channels call somebody without an account, such as the addressee of a link. It falls between two judged
    minutes: the evaluation would write the states back as it read them.
    """
    with transaction.atomic():
        locks.judging()
        states = AlertState.objects.select_for_update().filter(alert_id__in=alerts).order_by("pk")
        held = list(states.values_list("pk", flat=True))
        waiting = Alert.objects.select_for_update().filter(pk__in=alerts, resolved_at=None, acknowledged_at=None)
        taken = list(waiting.order_by("pk"))
        found = [alert.pk for alert in taken]
        Alert.objects.filter(pk__in=found).update(acknowledged_at=now, acknowledged_by=user, acknowledgement_note=note)
        for severity, own in _by_severity(taken).items():
            AlertState.objects.filter(pk__in=held, alert_id__in=own).update(acknowledged=severity)
        acknowledgement.tell(taken, user.get_username() if user is not None else who or "somebody", now)
    return found


def _by_severity(alerts: Sequence[Alert]) -> dict[str, list[int]]:
    """The alerts by number, by the severity that whoever acknowledges them knows of: the worst that was told.

    Of what was told to nobody it is the one that it fired with, which is what is shown of it.
    """
    by_rule: dict[int | None, list[Alert]] = defaultdict(list)
    for alert in alerts:
        by_rule[alert.rule_id].append(alert)
    found: dict[str, list[int]] = defaultdict(list)
    for rule, own in by_rule.items():
        told = severities(rule, [alert.pk for alert in own])
        for alert in own:
            found[worst((severity for _, severity in told[alert.pk]), alert.severity)].append(alert.pk)
    return found
