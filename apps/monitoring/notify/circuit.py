"""A channel that fails again and again is left alone for a while, then tried with one notification.

The circuit only delays: what it holds back stays pending and leaves as soon as an attempt works, within its 24 hours.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import F, QuerySet

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify.channels.outcome import LONGEST_WAIT

OPENS_AFTER: Final = 3
"""Attempts that failed in a row."""
_FIRST_PAUSE: Final = 10.0
_LONGEST_PAUSE: Final = 300.0


def pause(failures: int) -> float:
    """Seconds without an attempt after so many failures in a row: none, then doubling from ten seconds to five minutes."""
    if failures < OPENS_AFTER:
        return 0.0
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(failures - OPENS_AFTER, 20))


def is_open(failures: int) -> bool:
    """Whether the next attempt is a probe."""
    return failures >= OPENS_AFTER


def failed(channel_id: int, reason: str, now: datetime, after: float | None) -> float:
    """Note an attempt that failed for now; returns for how many seconds the channel is left alone.

    A receiver that names a time means everything that waits for it, not one notification.
    """
    channel = Channel.objects.filter(pk=channel_id)
    channel.update(failures=F("failures") + 1, last_error=reason)
    channel.filter(failing_since=None).update(failing_since=now)
    failures = channel.values_list("failures", flat=True).first() or 0
    wait = max(pause(failures), after or 0.0)
    if wait:
        leave_alone(channel_id, now, wait)
    return wait


def leave_alone(channel_id: int, now: datetime, seconds: float) -> None:
    """Make no attempt for so long."""
    Channel.objects.filter(pk=channel_id).update(paused_until=now + timedelta(seconds=seconds))


def cut_short(now: datetime) -> None:
    """End pauses that are longer than any there is, and make due what waits as long.

    An older version waited for as long as a receiver said, for decades.
    """
    until = now + timedelta(seconds=LONGEST_WAIT)
    Channel.objects.filter(paused_until__gt=until).update(paused_until=None)
    Notification.objects.filter(status=Notification.Status.PENDING, next_attempt_at__gt=until).update(next_attempt_at=now)


def refused(channel_id: int, reason: str, now: datetime) -> None:
    """Note a notification that was refused or given up: the receiver may well take the next."""
    channel = Channel.objects.filter(pk=channel_id)
    channel.update(last_error=reason)
    channel.filter(failing_since=None).update(failing_since=now)


def worked(channel_id: int, now: datetime, warning: str = "") -> None:
    """Note a delivery, and what ops should know of it.

    If it was the probe of an open circuit, everything that failed before is due at once.
    """
    channel = Channel.objects.filter(pk=channel_id)
    failures = channel.values_list("failures", flat=True).first() or 0
    channel.update(last_success_at=now, failing_since=None, last_error=warning, failures=0, paused_until=None)
    if is_open(failures):
        _release(channel_id, now)


def close(channel_id: int, now: datetime) -> None:
    """Somebody mended the channel, or wants to know: try at once, and what was never tried has its time from now on."""
    Channel.objects.filter(pk=channel_id).update(failures=0, paused_until=None)
    _waiting(channel_id).update(next_attempt_at=now)


def _release(channel_id: int, now: datetime) -> None:
    _waiting(channel_id).filter(next_attempt_at__gt=now).update(next_attempt_at=now)


def _waiting(channel_id: int) -> QuerySet[Notification]:
    return Notification.objects.filter(channel=channel_id, status=Notification.Status.PENDING)
