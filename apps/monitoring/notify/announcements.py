"""Who was told of an alert: where an end, an acknowledgement or a reminder goes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db.models import BigIntegerField, BooleanField, F, Func, Min, QuerySet, Value

from apps.monitoring.core.clock import to_minute
from apps.monitoring.models import Alert, Notification


def announcements(rule_id: int | None, alerts: Collection[int], began: datetime | None = None) -> QuerySet[Notification]:
    """The notifications of a rule that said that one of these alerts fires, oldest first.

    ``began`` is since when the first of the alerts is, for who knows it.

    What a deleted rule announced has no rule any more; its alerts are nobody else's.
    """
    if not alerts:
        return Notification.objects.none()
    if began is None:
        began = Alert.objects.filter(pk__in=alerts).aggregate(began=Min("since"))["began"]
    if began is None:
        return Notification.objects.none()
    told = Notification.objects.filter(
        rule=rule_id,
        kind__in=(Notification.Kind.FIRING, Notification.Kind.REMINDER),
        minute__gte=began,
    )
    return told.filter(naming(alerts)).order_by("created_at", "pk")


def severities(rule_id: int | None, alerts: Collection[int]) -> dict[int, list[tuple[int, str]]]:
    """Of each alert in which minutes it was told that it fires, and as how severe."""
    found: dict[int, list[tuple[int, str]]] = {alert: [] for alert in alerts}
    for minute, severity, named in announcements(rule_id, alerts).values_list("minute", "payload__rule__severity", "alert_ids"):
        for alert in found.keys() & named:
            found[alert].append((to_minute(minute), severity))
    return found


def naming(alerts: Collection[int]) -> Func:
    """Whether a notification is about one of the alerts.

    An overlap of arrays compares each with each, which takes seconds of 10,000 alerts; here Postgres looks them up. And they
    are one value, where Django would make one of each.
    """
    return Func(
        F("alert_ids"),
        Value(list(alerts), output_field=ArrayField(BigIntegerField())),
        template="EXISTS (SELECT FROM unnest(%(expressions)s::bigint[]))",
        arg_joiner=") AS own (id) WHERE own.id = ANY(",
        output_field=BooleanField(),
    )
