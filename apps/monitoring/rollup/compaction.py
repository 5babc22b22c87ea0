"""From minutes to hours and from hours to days, by recomputing the whole period: exactly once by construction."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction
from django.utils import timezone

from apps.monitoring.catalogue import DISTINCT
from apps.monitoring.core import distinct, merging
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import MAX_INTEGER
from apps.monitoring.models import Compaction, Series
from apps.monitoring.rollup import locks, partitions, periods
from apps.monitoring.rollup.periods import Period
from apps.monitoring.rollup.rows import Row, copy

_log = logging.getLogger(__name__)

_MERGED: Final = """
SELECT series_id, count(*), least(sum(count), %(most)s)::bigint,
  CASE WHEN sum(sum) IS NOT NULL THEN greatest(least(sum(sum), %(most)s), -%(most)s)::bigint END,
  min(min), max(max), array_agg(data) FILTER (WHERE data IS NOT NULL)
FROM monitoring_metricsnapshot
WHERE resolution = %(resolution)s AND part = %(shard)s AND ts >= %(start)s AND ts < %(end)s
GROUP BY series_id
"""
_CHUNK: Final = 20_000
"""Series merged at once: bounds the memory, whatever the size of a shard."""


@dataclass(frozen=True, slots=True)
class Compacted:
    """What a run did. ``read`` counts finer rows, ``left`` the periods that it had no time for."""

    periods: int = 0
    read: int = 0
    written: int = 0
    seconds: float = 0.0
    left: int = 0
    busy: bool = False


def compact_shard(shard: int, seconds: float, told: Callable[[int], object] = int) -> Compacted:
    """Compact what is due of a shard, oldest first, hours before days, until the time is over.

    ``told`` hears after each period how many finer rows it had. Each period is a transaction of its own: a kill anywhere
    leaves it as it was before, and the next run does it.
    """
    began = time.monotonic()
    with locks.compaction(shard) as mine:
        if not mine:
            return Compacted(busy=True)
        done = read = written = left = 0
        for resolution in (Resolution.HOUR, Resolution.DAY):
            due = periods.due(resolution, shard)
            for number, period in enumerate(due):
                if time.monotonic() - began > seconds:
                    left += len(due) - number
                    break
                rows = compact(period)
                done, read, written = done + 1, read + rows[0], written + rows[1]
                told(rows[0])
        return Compacted(done, read, written, time.monotonic() - began, left)


def compact(period: Period) -> tuple[int, int]:
    """Replace the rows of a period by the merge of its finer rows; returns how many were read and written.

    Only one process does this for a shard at a time (`locks.compaction`). A batch that is committed meanwhile counts the
    period's changes beyond the number that was seen first, so the period stays stale, and the next run does it again.
    """
    start = to_datetime(period.start)
    partitions.ensure(period.resolution, start)
    with transaction.atomic():
        state = Compaction.objects.get(resolution=period.resolution, shard=period.shard, ts=start)
        if state.compacted:
            _delete(period)
        read = written = 0
        for chunk in merged_rows(period):
            read += chunk[0]
            written += len(chunk[1])
            copy(chunk[1])
        Compaction.objects.filter(pk=state.pk).update(compacted=state.changes, rows=written, compacted_at=timezone.now())
        coarser = period.resolution.coarser
        if coarser is not None:
            periods.touch(Period(coarser, period.shard, coarser.floor(period.start)))
    return read, written


def _delete(period: Period) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM monitoring_metricsnapshot WHERE resolution = %s AND ts = %s AND part = %s",
            [period.resolution, to_datetime(period.start), period.shard],
        )


def merged_rows(period: Period) -> Iterator[tuple[int, list[Row]]]:
    """The rows of a period, merged from the finer ones, with the number of those."""
    with connection.cursor() as cursor:
        # A cursor that is read to its end must not be planned for its first rows; one group a series has to fit.
        cursor.execute("SET LOCAL cursor_tuple_fraction = 1.0; SET LOCAL work_mem = '128MB'")
    with connection.wrap_database_errors, connection.connection.cursor(name="compaction", binary=True) as stream:
        stream.execute(
            _MERGED,
            {
                "most": MAX_INTEGER,
                "resolution": period.resolution.finer.value,
                "shard": period.shard,
                "start": to_datetime(period.start),
                "end": to_datetime(period.end),
            },
        )
        while chunk := stream.fetchmany(_CHUNK):
            yield sum(row[1] for row in chunk), _rows(period, chunk)


def _rows(period: Period, chunk: Sequence[tuple[Any, ...]]) -> list[Row]:
    start, resolution, shard = to_datetime(period.start), int(period.resolution), period.shard
    merged = _merged_data([(row[0], row[6]) for row in chunk if row[6]])
    rows: list[Row] = []
    for series, _, count, total, low, high, _ in chunk:
        data, members = merged.get(series, (None, None))
        rows.append((start, count if members is None else members, total, low, high, series, resolution, shard, data))
    return rows


def _merged_data(found: Sequence[tuple[int, list[bytes]]]) -> dict[int, tuple[bytes, int | None]]:
    """The merged bytes by series, and for a distinct count how many members they stand for."""
    known = Series.objects.filter(id__in=[series for series, _ in found], metric__in=DISTINCT)
    sketched = set(known.values_list("id", flat=True))
    sketches = [(series, datas) for series, datas in found if series in sketched]
    histograms = [(series, datas) for series, datas in found if series not in sketched]
    merged: dict[int, tuple[bytes, int | None]] = {}
    for (series, _), data in zip(sketches, merging.sketches([datas for _, datas in sketches]), strict=True):
        merged[series] = data, distinct.count(data)
    for (series, _), data in zip(histograms, merging.histograms([datas for _, datas in histograms]), strict=True):
        merged[series] = data, None
    return merged


__all__ = ["Compacted", "compact", "compact_shard", "merged_rows"]
