"""Who was told of an alert: where an end, an acknowledgement or a reminder goes."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import Min, QuerySet

from apps.monitoring.models import Alert, Notification


def announcements(rule_id: int | None, alerts: Collection[int]) -> QuerySet[Notification]:
    """The notifications of a rule that said that one of these alerts fires, oldest first.

    What a deleted rule announced has no rule any more; its alerts are nobody else's.
    """
    if not alerts:
        return Notification.objects.none()
    began = Alert.objects.filter(pk__in=alerts).aggregate(began=Min("since"))["began"]
    if began is None:
        return Notification.objects.none()
    return Notification.objects.filter(
        rule=rule_id,
        kind__in=(Notification.Kind.FIRING, Notification.Kind.REMINDER),
        minute__gte=began,
        alert_ids__overlap=list(alerts),
    ).order_by("created_at", "pk")
