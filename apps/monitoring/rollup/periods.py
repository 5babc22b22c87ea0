"""Which hours and days hold all of their finer rows, and which have to be compacted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import F, QuerySet
from django.utils import timezone

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution, Stored, Stretch
from apps.monitoring.models import Compaction
from apps.monitoring.rollup import floors

_DUE: Final = """
SELECT c.shard, c.ts
FROM monitoring_compaction c
LEFT JOIN monitoring_shardprogress p ON p.shard = c.shard AND p.shard < %(shards)s
WHERE c.changes > c.compacted AND c.resolution = %(resolution)s AND c.shard = coalesce(%(shard)s, c.shard)
  AND c.ts + make_interval(mins => %(resolution)s) <= coalesce(
    p.complete_until,
    (SELECT min(complete_until) FROM monitoring_shardprogress WHERE shard < %(shards)s)
  )
  AND NOT EXISTS (
    SELECT FROM monitoring_compaction f
    WHERE f.changes > f.compacted AND f.resolution < c.resolution AND f.shard = c.shard
      AND f.ts >= c.ts AND f.ts < c.ts + make_interval(mins => %(resolution)s)
  )
ORDER BY c.ts, c.shard
"""

_VERSIONS: Final = """
SELECT c.resolution, c.ts, count(*), sum(c.compacted)::bigint, max(c.compacted_at)
FROM (
  SELECT DISTINCT resolution, shard, ts, compacted, compacted_at
  FROM unnest(%s::int[], %s::timestamptz[], %s::timestamptz[]) AS asked (length, first, last)
  JOIN monitoring_compaction ON resolution = length AND ts >= first AND ts < last
) AS c
GROUP BY c.resolution, c.ts
"""


@dataclass(frozen=True, slots=True)
class Period:
    """One hour or day of one shard."""

    resolution: Resolution
    shard: int
    start: int

    @property
    def end(self) -> int:
        """The first minute after it."""
        return self.start + self.resolution


def touch(period: Period) -> None:
    """Note that finer rows of a period were written. Call it in the transaction that writes them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_compaction AS c (resolution, shard, ts, changes, compacted, rows) "
            "VALUES (%s, %s, %s, 1, 0, 0) ON CONFLICT (resolution, shard, ts) DO UPDATE SET changes = c.changes + 1",
            [period.resolution, period.shard, to_datetime(period.start)],
        )


def merged_into(period: Period) -> None:
    """Note that rows were merged into a period whose finer rows are gone: it has changed, and still holds everything.

    Whoever remembers the period knows by it that it is another one. Call it in the transaction that writes the rows.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_compaction AS c (resolution, shard, ts, changes, compacted, rows, compacted_at) "
            "VALUES (%s, %s, %s, 1, 1, 0, %s) ON CONFLICT (resolution, shard, ts) DO UPDATE "
            "SET changes = c.changes + 1, compacted = c.compacted + 1, compacted_at = excluded.compacted_at",
            [period.resolution, period.shard, to_datetime(period.start), timezone.now()],
        )


def due(resolution: Resolution, shard: int | None = None) -> list[Period]:
    """The stale periods that are over, oldest first; days only when none of their hours is stale.

    A period is over when its shard's watermark has passed it; what a shard left behind that is no longer in the
    settings is over when all the others' has.
    """
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"shards": conf().shards, "resolution": resolution.value, "shard": shard})
        return [Period(resolution, number, to_minute(start)) for number, start in cursor.fetchall()]


def stored(start: int, end: int) -> Stored:
    """What is where in the minutes ``[start, end)``. Call it in the transaction that reads."""
    stale: dict[Resolution, list[int]] = {Resolution.HOUR: [], Resolution.DAY: []}
    first = to_datetime(Resolution.DAY.floor(start))
    found = _stale().filter(resolution__in=list(stale), ts__gte=first, ts__lt=to_datetime(end))
    for resolution, moment in found.values_list("resolution", "ts").distinct():
        stale[Resolution(resolution)].append(to_minute(moment))
    return Stored(stale, floors.read())


def versions(stretches: Iterable[Stretch]) -> dict[tuple[Resolution, int], tuple[int, int, datetime | None]]:
    """What each hour or day that begins in the stretches was made of, in all shards; another version, other rows.

    Those without data are left out. Call it in the transaction that reads the rows.
    """
    stretches = list(stretches)
    with connection.cursor() as cursor:
        cursor.execute(
            _VERSIONS,
            [
                [one.resolution for one in stretches],
                [to_datetime(one.start) for one in stretches],
                [to_datetime(one.end) for one in stretches],
            ],
        )
        return {
            (Resolution(resolution), to_minute(start)): (count, changes, last)
            for resolution, start, count, changes, last in cursor.fetchall()
        }


def stale_shards() -> list[int]:
    """The shards that have something to compact, now or once it is over."""
    return sorted(_stale().values_list("shard", flat=True).distinct())


def stale_count(resolution: Resolution) -> int:
    """How many periods do not hold all of their finer rows, those under way included."""
    return _stale().filter(resolution=resolution).count()


def _stale() -> QuerySet[Compaction]:
    return Compaction.objects.filter(changes__gt=F("compacted"))
