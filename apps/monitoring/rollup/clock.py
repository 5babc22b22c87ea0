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


def earlier(own: datetime) -> datetime:
    """This machine's time or the database's, whichever is earlier: what was sealed or dropped too early stays so.

    One that is behind only delays. Raises DatabaseError.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        database: datetime = cursor.fetchone()[0]
    if abs(own - database) > _TOLERANCE:
        ahead = (own - database).total_seconds()
        _log.error("the clock of this machine is %+.0f s from the database's; the earlier one is taken", ahead)
        note("clocks_differ")
    return min(own, database)
