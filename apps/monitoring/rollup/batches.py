"""One sealed batch into the snapshots, in one transaction, exactly once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import Final

from django.db import connection, transaction
from django.utils import timezone

from apps.monitoring.catalogue import METRICS
from apps.monitoring.core import distinct, series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.ingest.hotstore import MAX_INTEGER, Batch, Held
from apps.monitoring.ingest.recorder import note
from apps.monitoring.models import RollupBatch, Series, ShardProgress
from apps.monitoring.rollup import floors, partitions, periods, retention
from apps.monitoring.rollup.cells import cells_of
from apps.monitoring.rollup.periods import Period

_log = logging.getLogger(__name__)

_MAX_CACHED: Final = 2_000_000
_LOOKUP: Final = 5_000

Identity = tuple[str, str, str]
"""Tenant, metric, labels as canonical JSON."""

Row = tuple[datetime, int, int | None, int | None, int | None, int, int, int, bytes | None]
"""In the order of `_COLUMNS`."""

_COLUMNS: Final = "ts, count, sum, min, max, series_id, resolution, part, data"

_series_ids: dict[Identity, int] = {}


def commit(shard: int, batch: Batch, held: Iterable[Held]) -> bool:
    """Put a batch into the snapshots; False when it is there already.

    The batch id is inserted in the same transaction as the rows: that is what makes a repetition harmless. Only one
    process works on a shard at a time (`locks.shard`), so a late batch may read, merge and write its rows.
    """
    if RollupBatch.objects.filter(id=batch.id).exists():
        return False
    cells = {_identity(one.tenant, key): cell for one in held for key, cell in cells_of(one).items()}
    ids = series_ids(cells)
    by_id = {ids[identity]: cell for identity, cell in cells.items()}
    while True:
        resolution = retention.destination(batch.minute)
        if resolution is not None:
            partitions.ensure(resolution, to_datetime(batch.minute))
        with transaction.atomic():
            floors.hold()
            if retention.destination(batch.minute) is not resolution:
                continue  # the floor was moved in between
            _write(shard, batch, by_id, resolution)
        break
    if resolution is None:
        _log.warning("%d rows of %s are older than what is kept, they are refused", len(by_id), to_datetime(batch.minute))
        note("rows_older_than_retention", len(by_id))
    return True


def _write(shard: int, batch: Batch, cells: dict[int, Cell], resolution: Resolution | None) -> None:
    """The rows of a batch at the resolution that still has rows of its minute, the proof, and what is stale by now."""
    moment = to_datetime(batch.minute)
    if resolution is not None:
        start = resolution.floor(batch.minute)
        period = to_datetime(start)
        if resolution is not Resolution.MINUTE or _may_have_rows(shard, moment):
            _take_back(shard, resolution, period, cells)
        _copy(_row(period, shard, resolution, number, cell) for number, cell in cells.items())
        if resolution.coarser is not None:
            periods.touch(Period(resolution.coarser, shard, resolution.coarser.floor(start)))
    RollupBatch.objects.create(
        id=batch.id,
        shard=shard,
        minute=moment,
        rows=0 if resolution is None else len(cells),
        late=ShardProgress.objects.filter(shard=shard, complete_until__gt=moment).exists(),
    )


def _may_have_rows(shard: int, moment: datetime) -> bool:
    """Whether an earlier batch may have written rows of the minute. The proofs of old ones are gone."""
    return retention.without_proof(moment) or RollupBatch.objects.filter(shard=shard, minute=moment).exists()


def advance(shard: int, until: int) -> None:
    """Move the watermark of a shard: every minute before ``until`` is in the snapshots."""
    now = timezone.now()
    ShardProgress.objects.update_or_create(shard=shard, defaults={"complete_until": to_datetime(until), "ticked_at": now})


def series_ids(identities: Iterable[Identity]) -> dict[Identity, int]:
    """The ids of series; new ones are made, in a transaction of their own so that nobody waits for the batch."""
    wanted = list(identities)
    missing = iter([identity for identity in wanted if identity not in _series_ids])
    while chunk := list(islice(missing, _LOOKUP)):
        _load(chunk)
    found = {identity: _series_ids[identity] for identity in wanted}
    if len(_series_ids) > _MAX_CACHED:
        _series_ids.clear()
    return found


def _load(identities: list[Identity]) -> None:
    columns = [list(column) for column in zip(*identities, strict=True)]
    select = (
        "SELECT s.tenant, s.metric, s.labels, s.id FROM monitoring_series s "
        "JOIN unnest(%s::text[], %s::text[], %s::text[]) AS w(tenant, metric, labels) USING (tenant, metric, labels)"
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_series (tenant, metric, labels) "
            "SELECT w.tenant, w.metric, w.labels FROM unnest(%s::text[], %s::text[], %s::text[]) AS w(tenant, metric, labels) "
            "WHERE NOT EXISTS (SELECT FROM monitoring_series s "
            "WHERE (s.tenant, s.metric, s.labels) = (w.tenant, w.metric, w.labels)) "
            "ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING",
            columns,
        )
        cursor.execute(select, columns)
        for tenant, metric, labels, number in cursor.fetchall():
            _series_ids[tenant, metric, labels] = number


def forget() -> None:
    """Forget the ids of series, after another database is used."""
    _series_ids.clear()


def _identity(tenant: str, key: SeriesKey) -> Identity:
    metric = METRICS.get(key.metric)
    labels = series.labels_json(metric, key.values) if metric is not None else (key.values[0] if key.values else "")
    return tenant, key.metric, labels


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


def _copy(rows: Iterable[Row]) -> None:
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY monitoring_metricsnapshot ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy,
    ):
        copy.set_types(["timestamptz", "int8", "int8", "int8", "int8", "int8", "int2", "int2", "bytea"])
        for row in rows:
            copy.write_row(row)
