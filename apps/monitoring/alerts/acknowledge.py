"""Somebody looks after an alert: no more reminders until it resolves."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction

from apps.monitoring.models import Alert, AlertState


def acknowledge(alerts: Collection[int], user: User, now: datetime) -> list[int]:
    """Acknowledge the alerts with these ids; returns the ids of those that were still open and nobody's yet.

    States are locked before alerts, in the order in which the evaluation writes them.
    """
    with transaction.atomic():
        states = AlertState.objects.select_for_update().filter(alert_id__in=alerts).order_by("pk")
        held = list(states.values_list("pk", flat=True))
        waiting = Alert.objects.select_for_update().filter(pk__in=alerts, resolved_at=None, acknowledged_at=None)
        found = list(waiting.order_by("pk").values_list("pk", flat=True))
        Alert.objects.filter(pk__in=found).update(acknowledged_at=now, acknowledged_by=user)
        AlertState.objects.filter(pk__in=held, alert_id__in=found).update(acknowledged=True)
    return found
