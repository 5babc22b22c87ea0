"""Series that no row refers to any more: deleted, a lot at a time."""

from __future__ import annotations

import logging
import time
from datetime import UTC, date
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.recorder import note
from apps.monitoring.models import SeriesPurge
from apps.monitoring.rollup import floors, partitions

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 10_000
"""Series of one transaction: who renews the lease of one of them at that moment waits for it."""
_SECONDS: Final = 60.0
"""Of one run; what is left is the next one's."""

# One whose lease is being renewed is somebody's: it is passed over, so that a purge never waits while it holds others.
_PURGE: Final = """
WITH unused AS (
  SELECT id FROM monitoring_series WHERE id > %s AND leased_until < %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
), gone AS (DELETE FROM monitoring_series s USING unused WHERE s.id = unused.id RETURNING s.id)
SELECT count(*), max(id) FROM gone
"""
_NOTE: Final = """
INSERT INTO monitoring_seriespurge AS p (id, purged, before, purged_at) VALUES (%s, %s, %s, %s)
ON CONFLICT (id) DO UPDATE SET purged = p.purged + excluded.purged, before = excluded.before, purged_at = excluded.purged_at
"""


def purge(seconds: float = _SECONDS) -> int:
    """Delete the series that no row refers to and none will; returns how many. Safe to break off anywhere, and beside roll-ups.

    These are the ones whose lease ended before the first day that rows may be of: they have no row, and nobody who knows
    their number writes one under it without renewing the lease, which shows that they are gone (`series_ids`).
    """
    deadline = time.monotonic() + seconds
    before, purged, last = first_day(), 0, 0
    while time.monotonic() < deadline:
        count, last = _lot(before, last)
        purged += count
        if count < _AT_ONCE:
            break
    if purged:
        _log.info("%d series that have no row since %s are purged", purged, before)
        note("series_purged", purged)
    return purged


def first_day() -> date:
    """The first day (UTC) that a row may be of, at any resolution: there are no earlier ones, and never will be.

    Nobody writes below the lowest floor, and the floors never move back; compaction makes rows only of those that are there.
    """
    allowed = floors.read()  # first: a row that they let somebody write meanwhile has a partition that is seen
    moments = [to_datetime(allowed.get(resolution, 0)) for resolution in Resolution]
    kept = [partition.start for resolution in Resolution for partition in partitions.existing(resolution)]
    return min(moments + kept).astimezone(UTC).date()


def _lot(before: date, last: int) -> tuple[int, int]:
    """Purge some series with numbers after the ``last``; returns how many, and the last of these."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PURGE, [last, before, _AT_ONCE])
        count, reached = cursor.fetchone()
        if count:
            cursor.execute(_NOTE, [SeriesPurge.SINGLETON, count, before, timezone.now()])
    return count, reached
