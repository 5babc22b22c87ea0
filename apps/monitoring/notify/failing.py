"""A channel that fails is an alert of its own on the other channels: told once, and once more when it works again."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox, pages
from apps.monitoring.notify.isolation import isolated
from apps.monitoring.notify.message import AlertFacts, Message, RuleFacts, printable
from apps.monitoring.rollup import locks

FAILING_AFTER: Final = timedelta(minutes=10)
_AGAIN_AFTER: Final = timedelta(hours=1)
"""A channel that comes and goes is told about once an hour."""
_ERROR: Final = 200
_PREFIX: Final = "channel-"
_SUFFIX: Final = "-failing"


def sweep(now: datetime) -> int:
    """Tell of channels that have begun to fail, and of those that work again; returns how many."""
    failing = Channel.without_secrets.filter(enabled=True, failing_since__lte=now - FAILING_AFTER, failure_told_at=None)
    ended = Channel.without_secrets.filter(Q(failing_since=None) | Q(enabled=False), failure_told_at__isnull=False)
    told = 0
    with isolated() as step:
        for write, channels in ((_begin, failing), (_end, ended)):
            for channel in channels:
                with step():
                    told += write(channel, now)
        with step():
            told += _end_of_deleted(now)
    return told


def _begin(channel: Channel, now: datetime) -> bool:
    lately = Notification.objects.filter(about=channel, kind=Notification.Kind.FIRING, minute__gt=now - _AGAIN_AFTER)
    if lately.exists():
        return False
    with transaction.atomic():
        # Of two sweeps at once one tells.
        if not Channel.objects.filter(pk=channel.pk, failure_told_at=None).update(failure_told_at=now):
            return False
        error = printable(channel.last_error)[:_ERROR]
        text = f"The channel {channel.name} fails: {error}. What waits for it is kept and tried again."
        _write(channel, Notification.Kind.FIRING, _others(channel), text, now)
    return True


def _end(channel: Channel, now: datetime) -> bool:
    told_at = channel.failure_told_at or now
    began = to_datetime(minute_of(told_at.timestamp()))
    told = Notification.objects.filter(about=channel, kind=Notification.Kind.FIRING, minute__gte=began)
    with transaction.atomic():
        if not Channel.objects.filter(pk=channel.pk, failure_told_at=told_at).update(failure_told_at=None):
            return False
        state = "works again" if channel.enabled else "was switched off"
        others = list(Channel.without_secrets.filter(pk__in=told.values("channel")))
        _write(channel, Notification.Kind.RESOLVED, others, f"The channel {channel.name} {state}.", now)
    return True


def _end_of_deleted(now: datetime) -> int:
    """Tell that channels no longer fail because they were deleted; returns of how many."""
    with transaction.atomic():
        locks.telling()
        rows = [_over(opener, now) for opener in _of_deleted()]
        Notification.objects.bulk_create(rows)
    for row in rows:
        outbox.ask(row.channel_id)
    return len({row.about_id for row in rows})


def _of_deleted() -> QuerySet[Notification]:
    """The last beginning that each channel was told of one that is gone, unless it was told of the end."""
    told = Notification.objects.filter(about=OuterRef("about"), channel=OuterRef("channel"))
    ended = told.filter(kind=Notification.Kind.RESOLVED, created_at__gt=OuterRef("created_at"))
    exists = Channel.objects.filter(pk=OuterRef("about"))
    begun = Notification.objects.filter(~Exists(exists), ~Exists(ended), kind=Notification.Kind.FIRING, about__isnull=False)
    return begun.order_by("about_id", "channel_id", "-created_at").distinct("about_id", "channel_id")


def _over(opener: Notification, now: datetime) -> Notification:
    """The channel is gone: what its end says is read from the beginning."""
    identity, minute = uuid.uuid4(), minute_of(now.timestamp())
    said = Message.from_payload(opener.payload)
    text = f"The channel {said.rule.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)} was deleted."
    alerts = [replace(alert, reason=text, links={}) for alert in said.alerts]
    kind = Notification.Kind.RESOLVED.value
    message = replace(said, id=str(identity), kind=kind, minute=isoformat(minute), alerts=alerts, text=text, links={})
    return Notification(
        id=identity,
        channel_id=opener.channel_id,
        about_id=opener.about_id,
        kind=kind,
        minute=to_datetime(minute),
        payload=message.payload(),
        next_attempt_at=now,
    )


def _others(channel: Channel) -> list[Channel]:
    """The default channels and the fallback, never itself; those that work, if any do."""
    others = list(
        Channel.without_secrets.filter(Q(is_default=True) | Q(pk=channel.fallback_id), enabled=True).exclude(pk=channel.pk)
    )
    return [other for other in others if other.failing_since is None] or others


def _write(channel: Channel, kind: str, to: list[Channel], text: str, now: datetime) -> None:
    rows = [_row(channel, kind, other, text, now) for other in to]
    Notification.objects.bulk_create(rows)
    for row in rows:
        outbox.ask(row.channel_id)


def _row(channel: Channel, kind: str, to: Channel, text: str, now: datetime) -> Notification:
    identity, minute = uuid.uuid4(), minute_of(now.timestamp())
    window = int(FAILING_AFTER.total_seconds() // 60)
    rule = RuleFacts(f"{_PREFIX}{channel.name}{_SUFFIX}", "failed_attempts", "count", "gt", 0, "count", window, "error", "")
    since = isoformat(minute_of((channel.failing_since or now).timestamp()))
    page = pages.admin("channel", channel.pk)
    facts = AlertFacts(None, float(channel.failures), channel.failures, since, text, {"channel": page})
    message = Message(str(identity), str(kind), rule, isoformat(minute), 1, [facts], text, {"channel": page})
    return Notification(
        id=identity,
        channel=to,
        about=channel,
        kind=kind,
        minute=to_datetime(minute),
        payload=message.payload(),
        next_attempt_at=now,
    )
