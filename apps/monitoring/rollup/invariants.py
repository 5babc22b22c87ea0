"""What holds of the stored rows, checked on a sample, counted and repaired where it does not.

A compacted period is the merge of its finer rows. Each row has its series, under a lease that reaches its day.
"""

from __future__ import annotations

import logging
from typing import Final

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Greatest

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.recorder import note
from apps.monitoring.models import Compaction, Series
from apps.monitoring.rollup import compaction, floors, periods
from apps.monitoring.rollup.periods import Period
from apps.monitoring.rollup.rows import Row

_log = logging.getLogger(__name__)

MISMATCHES: Final = "compaction_mismatches"
_UNLEASED: Final = """
SELECT m.series_id, s.id IS NOT NULL, count(*)
FROM monitoring_metricsnapshot m LEFT JOIN monitoring_series s ON s.id = m.series_id
WHERE m.resolution IN (%s, %s) AND m.part = %s AND m.ts >= %s AND m.ts < %s AND coalesce(s.leased_until < %s, true)
GROUP BY 1, 2
"""


def check_sample(size: int) -> int:
    """Check some compacted hours and days at random, and the rows that they were made of; returns how many were wrong."""
    wrong = 0
    for resolution in (Resolution.HOUR, Resolution.DAY):
        kept = to_datetime(floors.read().get(resolution.finer, 0))
        compacted = Compaction.objects.filter(resolution=resolution, changes=F("compacted"), ts__gte=kept)
        for shard, start in compacted.order_by("?").values_list("shard", "ts")[:size]:
            period = Period(resolution, shard, to_minute(start))
            wrong += not (check(period) & check_series(period))
    return wrong


def check(period: Period) -> bool:
    """Whether the rows of a period are the merge of its finer rows; when not, it is counted and will be compacted anew."""
    found, wanted = _rows(period)
    if found == wanted:
        return True
    wrong = sum(found.get(series) != wanted.get(series) for series in found.keys() | wanted.keys())
    _log.error("%d rows of %s differ from what they were made of; they are made anew", wrong, period)
    note(MISMATCHES, wrong)
    with transaction.atomic():
        floors.hold()
        if period.start >= floors.read().get(period.resolution.finer, 0):
            periods.touch(period)
    return False


def check_series(period: Period) -> bool:
    """Whether each row of a period and of what it was made of has its series, leased for the day; when not, it is counted.

    A lease that ends too early is renewed, or the series would be purged before the row is gone. Where there is no series
    nothing can be repaired: nobody knows what the row was of.
    """
    start, end = to_datetime(period.start), to_datetime(period.end)
    with connection.cursor() as cursor:
        cursor.execute(_UNLEASED, [period.resolution, period.resolution.finer, period.shard, start, end, start.date()])
        found = cursor.fetchall()
    if not found:
        return True
    wrong = sum(rows for _, _, rows in found)
    _log.error("%d rows of %s have no series, or one whose lease ends before them", wrong, period)
    note("rows_without_series", wrong)
    unleased = Series.objects.filter(id__in=[number for number, known, _ in found if known])
    unleased.update(leased_until=Greatest("leased_until", start.date()))
    return False


def _rows(period: Period) -> tuple[dict[int, Row], dict[int, Row]]:
    """What is stored and what should be, by series, at one moment; nothing when the period is stale by then."""
    start = to_datetime(period.start)
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        kept = period.start >= floors.read().get(period.resolution.finer, 0)
        fresh = Compaction.objects.filter(
            resolution=period.resolution, shard=period.shard, ts=start, changes=F("compacted")
        ).exists()
        if not kept or not fresh:
            return {}, {}
        wanted = {row[5]: row for _, rows in compaction.merged_rows(period) for row in rows}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT ts, count, sum, min, max, series_id, resolution, part, data FROM monitoring_metricsnapshot "
                "WHERE resolution = %s AND part = %s AND ts = %s",
                [period.resolution, period.shard, start],
            )
            found = {row[5]: (*row[:8], None if row[8] is None else bytes(row[8])) for row in cursor.fetchall()}
    return found, wanted
