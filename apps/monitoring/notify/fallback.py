"""What a channel cannot deliver in time is told to another one as well, once, with a note that says why.

The notification itself stays where it is and is tried on. One whose beginning went to the fallback ends there too, so
that nothing stays open at a receiver that was only told because of a failure.
"""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, ExpressionWrapper, F, OuterRef, fields
from django.utils import timezone

from apps.monitoring.ingest import recorder
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import link, outbox
from apps.monitoring.notify.isolation import isolated
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import openers_of

_AT_ONCE: Final = 500
"""Notifications that one sweep hands over: the next one is a minute away."""
_KINDS: Final = (Notification.Kind.FIRING, Notification.Kind.REMINDER, Notification.Kind.RESOLVED)


def sweep(now: datetime) -> int:
    """Tell the fallbacks what has waited too long; returns how many notifications that was."""
    allowed = ExpressionWrapper(
        F("channel__fallback_after_minutes") * timedelta(minutes=1), output_field=fields.DurationField()
    )
    itself = Notification.objects.filter(
        channel=OuterRef("channel__fallback"), rule=OuterRef("rule"), minute=OuterRef("minute"), kind=OuterRef("kind")
    )
    late = (
        Notification.objects.filter(
            ~Exists(itself),
            status=Notification.Status.PENDING,
            kind__in=_KINDS,
            about=None,
            fallback_of=None,
            fallback=None,
            channel__enabled=True,
            channel__fallback__enabled=True,
        )
        .annotate(allowed=allowed)
        .filter(created_at__lte=now - F("allowed"))
        .order_by("created_at")[:_AT_ONCE]
    )
    told = 0
    with isolated() as step:
        for row in late:
            with step():
                told += tell(row, f"has not delivered it since {row.created_at:%H:%M} UTC")
    return told


def tell(row: Notification, why: str) -> bool:
    """Write a copy for the fallback of the row's channel; False when there is none, or it knows already."""
    if row.kind not in _KINDS or row.fallback_of_id is not None or row.about_id is not None:
        return False
    channel = Channel.without_secrets.filter(pk=row.channel_id, fallback__enabled=True).first()
    if channel is None or channel.fallback_id is None or _knows(channel.fallback_id, row):
        return False
    identity = uuid.uuid4()
    said = Message.from_payload(row.payload)
    note = f"{said.text} Sent here because {channel.name} {why}."
    own = {"acknowledge": link.to_acknowledge(identity)} if "acknowledge" in said.links else {}
    links = {**said.links, **own}  # who was told here answers for here
    copy = Notification(
        id=identity,
        channel_id=channel.fallback_id,
        rule_id=row.rule_id,
        kind=row.kind,
        minute=row.minute,
        payload=replace(said, id=str(identity), text=note, links=links).payload(),
        alert_ids=row.alert_ids,
        broken_rule=row.broken_rule,
        fallback_of=row,
        next_attempt_at=timezone.now(),
    )
    Notification.objects.bulk_create([copy], ignore_conflicts=True)  # two sweeps at once write one copy
    outbox.ask(copy.channel_id)
    recorder.note("notifications_to_fallback")
    return True


def end_there_too(row: Notification) -> bool:
    """After an end was delivered: tell it where the beginning went as a copy."""
    if row.kind != Notification.Kind.RESOLVED:
        return False
    if not Notification.objects.filter(fallback_of__in=openers_of(row)).exists():
        return False
    return tell(row, "could not deliver its beginning in time")


def _knows(channel_id: int, row: Notification) -> bool:
    """The fallback is one of the rule's channels itself, or has its copy."""
    told = Notification.objects.filter(channel=channel_id)
    about = {"broken_rule": row.broken_rule} if row.rule_id is None else {"rule": row.rule_id}
    itself = None not in about.values() and told.filter(**about, minute=row.minute, kind=row.kind).exists()
    return itself or told.filter(fallback_of=row).exists()
