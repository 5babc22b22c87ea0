"""What one notification opened at a receiver, and how it stands: an incident, a conversation, a chat message.

An alert belongs, on each channel, to the first notification that named it. So a reminder, an acknowledgement or an end
finds what it goes on with, although a notification may be about many tenants that recover one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.db.models import Count, Q, QuerySet

from apps.monitoring.core.rules import rank
from apps.monitoring.models import Alert, Notification
from apps.monitoring.notify.announcements import announcements
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
    """What a notification goes on with at its channel, oldest first; nothing when it opens something itself."""
    if row.about_id is not None or row.broken_rule is not None:
        still = int(row.kind != Notification.Kind.RESOLVED)
        opened = Notification.objects.filter(
            channel=row.channel_id,
            about=row.about_id,
            broken_rule=row.broken_rule,
            kind=Notification.Kind.FIRING,
            created_at__lt=row.created_at,
        )
        return [_thread(opener, still, still) for opener in opened.order_by("-created_at")[:1]]
    found = []
    missing = set(row.alert_ids)
    for opener in _openers(row):
        hits = missing.intersection(opener.alert_ids)
        if hits and opener.pk != row.pk:
            alerts = Alert.objects.filter(pk__in=opener.alert_ids, resolved_at=None)
            counted = alerts.aggregate(open=Count("pk"), waiting=Count("pk", filter=Q(acknowledged_at=None)))
            about = frozenset(Alert.objects.filter(pk__in=hits).values_list("tenant", flat=True))
            thread = _thread(opener, counted["open"], counted["waiting"])
            found.append(replace(thread, about=about, worst=_worst(row, opener), taken_on=_is_taken_on(row, opener)))
        missing -= hits
    return found


def _openers(row: Notification) -> QuerySet[Notification]:
    """What told its channel of one of the alerts before."""
    return _up_to(row, announcements(row.rule_id, row.alert_ids))


def _worst(row: Notification, opener: Notification) -> str:
    told = _up_to(row, announcements(row.rule_id, opener.alert_ids)).values_list("payload__rule__severity", flat=True)
    return max(told, key=rank, default="")


def _is_taken_on(row: Notification, opener: Notification) -> bool:
    kind = Notification.Kind.ACKNOWLEDGED
    return _up_to(row, Notification.objects.filter(kind=kind, alert_ids__overlap=opener.alert_ids)).exists()


def _up_to(row: Notification, notifications: QuerySet[Notification]) -> QuerySet[Notification]:
    return notifications.filter(channel=row.channel_id, created_at__lte=row.created_at)


def _thread(opener: Notification, still: int, waiting: int) -> Thread:
    message = Message.from_payload(opener.payload)
    return Thread(str(opener.pk), message, opener.receipt, message.count, still, waiting)
