"""The time that minutes are over by: a worker's clock alone is not believed."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.db import connection

from apps.monitoring.ingest.recorder import note

_log = logging.getLogger(__name__)

_TOLERANCE: Final = timedelta(seconds=5)
"""Clocks that are kept by NTP differ by less."""
_SETTLED: Final = _TOLERANCE / 2
"""So that one that wavers about the tolerance does not begin and end with each tick."""
_told = timedelta()
"""How far ahead of the database's the clock of this machine is by what this process has logged last; 0 when it is not."""


def earlier(own: datetime) -> datetime:
    """This machine's time or the database's, whichever is earlier: what was sealed or dropped too early stays so.

    One that is behind only delays. Raises DatabaseError.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        database: datetime = cursor.fetchone()[0]
    ahead = own - database
    if abs(ahead) > _TOLERANCE:
        note("clocks_differ")
    _tell(ahead)
    return min(own, database)


def _tell(ahead: timedelta) -> None:
    """Log that the clocks begin to differ, differ by something else, and agree again: not each tick of each shard."""
    global _told  # noqa: PLW0603 - what this process has logged
    if abs(ahead) > _TOLERANCE and abs(ahead - _told) > _TOLERANCE:
        _told = ahead
        seconds = ahead.total_seconds()
        _log.error("the clock of this machine is %+.0f s from the database's; the earlier one is taken", seconds)
    elif _told and abs(ahead) < _SETTLED:
        _told = timedelta()
        _log.warning("the clock of this machine agrees with the database's again")
