"""Which silences and mute windows are in force, and what they hold back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.silences import Quiet, hold
from apps.monitoring.models import AlertState, MuteWindow, Silence
from apps.monitoring.models.silence import SilenceState, whole_minute

_log = logging.getLogger(__name__)


def in_force(minute: int) -> list[Quiet]:
    """What holds back notifications about a judged minute."""
    told = to_datetime(minute + 1)
    found = Silence.objects.filter(starts_at__lte=told, ends_at__gt=told).defer("comment").order_by("pk")
    quiets = (silence.definition().quiet(minute) for silence in found)
    return [quiet for quiet in (*quiets, *_muted(minute)) if quiet is not None]


def _muted(minute: int) -> Iterator[Quiet | None]:
    for window in MuteWindow.objects.filter(enabled=True):
        try:
            yield window.definition().quiet(minute)
        except Exception:  # such as a zone that an update of the database has dropped: people are told rather than not
            _log.exception("mute window %s holds nothing back", window)


def expire(silence: Silence, now: datetime) -> bool:
    """End a silence now; what fires is told with the next minute. False when it had ended."""
    if silence.state(now) is SilenceState.EXPIRED:
        return False
    silence.ends_at = max(silence.starts_at, whole_minute(now))
    silence.save(update_fields=["ends_at"])
    return True


def firing_under(silence: Silence) -> int:
    """How many alerts that fire now the silence means, whether it has begun or not."""
    quiets = [Quiet("", silence.matchers())]
    firing = AlertState.objects.filter(status="firing").values_list("rule__name", "rule__severity", "tenant")
    return sum(hold(quiets, rule, severity)(tenant) is not None for rule, severity, tenant in firing)
