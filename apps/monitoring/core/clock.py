"""Minutes as integers: whole minutes since the epoch, UTC. Time is always an argument, never read here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

SECONDS: Final = 60


def minute_of(epoch_seconds: float) -> int:
    """The minute that a moment lies in."""
    return int(epoch_seconds // SECONDS)


def to_minute(moment: datetime) -> int:
    """The minute that an aware datetime lies in."""
    return minute_of(moment.timestamp())


def to_datetime(minute: int) -> datetime:
    """The start of a minute."""
    return datetime.fromtimestamp(minute * SECONDS, tz=UTC)


def isoformat(minute: int) -> str:
    """The start of a minute as ISO 8601 with Z."""
    return to_datetime(minute).isoformat().replace("+00:00", "Z")
