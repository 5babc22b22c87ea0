"""One sealed batch into the snapshots, in one transaction, exactly once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from django.db import connection, transaction
from django.db.models import Count, Max
from django.utils import timezone

from apps.monitoring.core import distinct, series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import MAX_INTEGER, Batch, Chunk, Integers
from apps.monitoring.ingest.recorder import note
from apps.monitoring.models import RollupBatch, Series, ShardProgress
from apps.monitoring.rollup import copyformat, floors, partitions, periods, retention
from apps.monitoring.rollup.columns import Columns, Spellings, columns_of
from apps.monitoring.rollup.periods import Period
from apps.monitoring.rollup.rows import Row, copy, copy_encoded
from apps.monitoring.rollup.series_ids import SeriesIds

_log = logging.getLogger(__name__)

_ADVANCE: Final = """
INSERT INTO monitoring_shardprogress AS known (shard, complete_until, ticked_at) VALUES (%s, %s, %s)
ON CONFLICT (shard) DO UPDATE
SET complete_until = greatest(known.complete_until, excluded.complete_until), ticked_at = excluded.ticked_at
"""

_spellings = Spellings()
_series_ids = SeriesIds()


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of a batch, and the numbers of their series."""

    columns: Columns
    ids: Integers


def commit(shard: int, batch: Batch, chunks: Iterable[Chunk], *, among_rows: bool = False) -> bool:
    """Put a batch into the snapshots; False when it is there already.

    The batch id is inserted in the same transaction as the rows: that is what makes a repetition harmless. Only one
    process works on a shard at a time (`locks.shard`), so a late batch may read, merge and write its rows. ``among_rows``:
    as if there were rows of its minute already. Raises IntegrityError when there are, and nothing told of them.
    """
    if RollupBatch.objects.filter(id=batch.id).exists():
        return False
    while True:
        resolution = retention.destination(batch.minute)
        if resolution is not None:
            partitions.ensure(resolution, to_datetime(batch.minute))
        with closing(connection.copy()) as aside, transaction.atomic():
            floors.hold()
            if retention.destination(batch.minute) is not resolution:
                continue  # the floor was moved in between
            found = (columns_of(chunk, _spellings) for chunk in chunks)
            written = refused = 0
            if resolution is None:
                refused = sum(columns.names.size for columns in found)
            else:
                blocks = (Block(columns, _series_ids.of(columns, batch.minute, aside)) for columns in found)
                written = _write(shard, batch, blocks, resolution, among_rows=among_rows or _may_have_rows(shard, batch))
            RollupBatch.objects.create(
                id=batch.id,
                shard=shard,
                minute=to_datetime(batch.minute),
                rows=written,
                late=ShardProgress.objects.filter(shard=shard, complete_until__gt=to_datetime(batch.minute)).exists(),
            )
        break
    if resolution is None:
        _log.warning("%d rows of %s are older than what is kept, they are refused", refused, to_datetime(batch.minute))
        note("rows_older_than_retention", refused)
    return True


def _write(shard: int, batch: Batch, blocks: Iterable[Block], resolution: Resolution, *, among_rows: bool) -> int:
    """The rows of a batch at the resolution that still has rows of its minute, and what is stale by now; returns how many."""
    start = resolution.floor(batch.minute)
    period = to_datetime(start)
    if resolution is not Resolution.MINUTE or among_rows:
        cells = _cells(blocks)
        written = len(cells)
        _take_back(shard, resolution, period, cells)
        copy(_row(period, shard, resolution, number, cell) for number, cell in cells.items())
    else:
        written = copy_encoded(
            copyformat.encode(block.columns, block.ids, period, resolution, shard) for block in map(_unique, blocks)
        )
    if resolution is not Resolution.MINUTE:
        periods.merged_into(Period(resolution, shard, start))
    if resolution.coarser is not None:
        periods.touch(Period(resolution.coarser, shard, resolution.coarser.floor(start)))
    return written


def _unique(block: Block) -> Block:
    """One row a series: a counter and a sample of the user's own with one name are the same series."""
    if (np.diff(np.sort(block.ids)) > 0).all():
        return block
    cells = _cells([block])
    rows = list(cells.values())

    def integers(values: Iterable[int | None]) -> Integers:
        return np.array([value or 0 for value in values], dtype=np.int64)

    columns = Columns(
        [], integers([]), [], integers([]),
        integers(min(cell.count, MAX_INTEGER) for cell in rows),
        integers(cell.sum for cell in rows),
        np.array([cell.sum is not None for cell in rows], dtype=bool),
        integers(cell.min for cell in rows),
        integers(cell.max for cell in rows),
        np.array([cell.min is not None for cell in rows], dtype=bool),
        [cell.data() for cell in rows],
    )  # fmt: skip
    return Block(columns, np.array(list(cells), dtype=np.int64))


def _cells(blocks: Iterable[Block]) -> dict[int, Cell]:
    """The rows as cells by series. A counter and a sample of the user's own with one name are one series."""
    cells: dict[int, Cell] = {}
    for block in blocks:
        columns = block.columns
        for row, number in enumerate(block.ids.tolist()):
            metric, _ = series.decode(columns.vocabulary[columns.names[row]])
            low, high = (int(side[row]) if columns.ranged[row] else None for side in (columns.minima, columns.maxima))
            total = int(columns.sums[row]) if columns.summed[row] else None
            cell = Cell.stored(metric.name, int(columns.counts[row]), total, low, high, columns.datas[row])
            if number in cells:
                cells[number].merge(cell)
            else:
                cells[number] = cell
    return cells


def versions(start: int, end: int) -> dict[int, tuple[int, datetime]]:
    """Which batches each of the minutes ``[start, end)`` came with, of all shards; others, other rows.

    Minutes without a batch are left out. It holds where the proofs are kept: not `without_proof`. Call it in the
    transaction that reads the rows.
    """
    found = RollupBatch.objects.filter(minute__gte=to_datetime(start), minute__lt=to_datetime(end)).values_list("minute")
    told = found.annotate(batches=Count("id"), last=Max("committed_at"))
    return {to_minute(minute): (batches, last) for minute, batches, last in told}


def without_proof(minute: int) -> bool:
    """Whether the proofs of batches of a minute may be gone."""
    return retention.without_proof(to_datetime(minute))


def _may_have_rows(shard: int, batch: Batch) -> bool:
    """Whether an earlier batch may have written rows of the minute. The proofs of old ones are gone."""
    moment = to_datetime(batch.minute)
    return retention.without_proof(moment) or RollupBatch.objects.filter(shard=shard, minute=moment).exists()


def advance(shard: int, until: int, left: Iterable[int] = ()) -> None:
    """Move the watermark of a shard: every minute before ``until`` is in the snapshots, or is one of those that are ``left``.

    Of these it passes those that it had passed before: they are late. It never moves back, whatever the clock of this
    worker says: rules have judged by it.
    """
    reached = until
    if left := list(left):
        known = ShardProgress.objects.filter(shard=shard).values_list("complete_until", flat=True).first()
        passed = 0 if known is None else to_minute(known)
        reached = min((minute for minute in left if minute >= passed), default=until)
    with connection.cursor() as cursor:
        cursor.execute(_ADVANCE, [shard, to_datetime(reached), timezone.now()])


def forget() -> None:
    """Forget the ids of series, after another database is used."""
    _series_ids.forget()


def _row(moment: datetime, shard: int, resolution: Resolution, number: int, cell: Cell) -> Row:
    data = cell.data()
    count = distinct.count(data) if cell.sketches and data is not None else cell.count
    total = None if cell.sum is None else max(-MAX_INTEGER, min(MAX_INTEGER, cell.sum))
    return moment, min(count, MAX_INTEGER), total, cell.min, cell.max, number, resolution, shard, data


def _take_back(shard: int, resolution: Resolution, moment: datetime, cells: dict[int, Cell]) -> None:
    """Merge the rows of the period that are there already into the new cells, and delete them."""
    metrics = dict(Series.objects.filter(id__in=list(cells)).values_list("id", "metric"))
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM monitoring_metricsnapshot WHERE resolution = %s AND ts = %s AND part = %s AND series_id = ANY(%s) "
            "RETURNING series_id, count, sum, min, max, data",
            [resolution, moment, shard, list(cells)],
        )
        for number, count, total, low, high, data in cursor.fetchall():
            cells[number].merge(Cell.stored(metrics[number], count, total, low, high, data))
