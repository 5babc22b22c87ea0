"""Deliver what is due: claimed under a lease, sent outside any transaction, its outcome recorded."""

from __future__ import annotations

import logging
import random
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import channels, outbox
from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.message import Message

_log = logging.getLogger(__name__)

GIVE_UP: Final = timedelta(hours=24)
LEASE: Final = timedelta(seconds=60)
"""Longer than the longest attempt: after a crash the same id is sent again when it is over."""
_FIRST_DELAY: Final = 5.0
_LONGEST_DELAY: Final = 3_600.0
_BUDGET_SECONDS: Final = 120.0
"""One run ends after this, so that a dead channel does not hold a worker; what is left is asked for again."""


@dataclass(slots=True)
class Report:
    """What one run did on one channel."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0


def deliver_channel(channel_id: int) -> Report:
    """Deliver what is due on one channel, oldest first, until nothing is due or one attempt fails for a while.

    A channel that fails is left alone until its next attempt is due, so one dead end costs one attempt a run.
    """
    report = Report()
    deadline = time.monotonic() + _BUDGET_SECONDS
    while time.monotonic() < deadline:
        claimed = _claim(channel_id, timezone.now())
        if claimed is None:
            return report
        outcome = _send(claimed)
        _record(claimed, outcome, timezone.now(), report)
    outbox.ask(channel_id)
    return report


def due_channels(now: datetime) -> list[int]:
    """The channels that have something due: what the sweep asks deliveries for."""
    return list(_due(now).order_by("channel_id").values_list("channel_id", flat=True).distinct())


def _due(now: datetime) -> QuerySet[Notification]:
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    return Notification.objects.filter(
        free, status=Notification.Status.PENDING, next_attempt_at__lte=now, channel__enabled=True
    )


def _claim(channel_id: int, now: datetime) -> Notification | None:
    """Take the oldest due notification that nobody else has."""
    with transaction.atomic():
        row = (
            _due(now)
            .filter(channel_id=channel_id)
            .order_by("created_at", "id")
            .select_for_update(skip_locked=True, of=("self",))
            .select_related("channel")
            .first()
        )
        if row is not None:
            row.leased_until = now + LEASE
            row.attempts += 1
            row.first_attempt_at = row.first_attempt_at or now
            row.save(update_fields=["leased_until", "attempts", "first_attempt_at"])
        return row


def _send(row: Notification) -> Outcome:
    """One attempt. A channel that raises has failed for now: the reason is kept, without its secrets."""
    try:
        handler = channels.get(row.channel.kind)
        return handler.deliver(Message.from_payload(row.payload), row.channel.config, row.channel.secrets)
    except channels.UnknownChannelError as error:
        return Rejected(str(error))
    except Exception as error:
        _log.exception("channel %s raised", row.channel.name)
        return Retry(f"{type(error).__name__} (see the worker's log)")


def _record(row: Notification, outcome: Outcome, now: datetime, report: Report) -> None:
    match outcome:
        case Delivered():
            _finish(row, Notification.Status.DELIVERED, "", now)
            Channel.objects.filter(pk=row.channel_id).update(last_success_at=now, failing_since=None, last_error="")
            report.delivered += 1
        case Rejected(reason):
            _finish(row, Notification.Status.DEAD, reason, now)
            _note_failure(row, reason, now)
            report.dead += 1
        case Retry(reason, after):
            started = row.first_attempt_at or now
            if now - started >= GIVE_UP:
                _finish(row, Notification.Status.DEAD, f"given up after {GIVE_UP}: {reason}", now)
                report.dead += 1
            else:
                _postpone(row, reason, now + timedelta(seconds=delay(row.attempts, after)))
                report.failed += 1
            _note_failure(row, reason, now)


def delay(attempts: int, after: float | None) -> float:
    """Seconds to the next attempt: doubling from 5 s to an hour, with jitter; never sooner than the receiver asked."""
    backoff = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts - 1, 20))
    return max(after or 0.0, backoff * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, keeps no secret


def _finish(row: Notification, status: str, error: str, now: datetime) -> None:
    Notification.objects.filter(pk=row.pk).update(
        status=status,
        last_error=error,
        leased_until=None,
        delivered_at=now if status == Notification.Status.DELIVERED else None,
    )


def _postpone(row: Notification, reason: str, until: datetime) -> None:
    Notification.objects.filter(pk=row.pk).update(last_error=reason, leased_until=None, next_attempt_at=until)


def _note_failure(row: Notification, reason: str, now: datetime) -> None:
    Channel.objects.filter(pk=row.channel_id).update(last_error=reason)
    Channel.objects.filter(pk=row.channel_id, failing_since__isnull=True).update(failing_since=now)
