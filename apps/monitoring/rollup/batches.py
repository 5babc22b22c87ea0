"""One sealed batch into the snapshots, in one transaction, exactly once."""

from __future__ import annotations

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
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.ingest.hotstore import MAX_INTEGER, Batch, Held
from apps.monitoring.models import RollupBatch, Series, ShardProgress
from apps.monitoring.rollup import partitions
from apps.monitoring.rollup.cells import cells_of
from apps.monitoring.rollup.partitions import Resolution

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
    moment = to_datetime(batch.minute)
    if RollupBatch.objects.filter(id=batch.id).exists():
        return False
    cells = {_identity(one.tenant, key): cell for one in held for key, cell in cells_of(one).items()}
    partitions.ensure(Resolution.MINUTE, moment)
    ids = series_ids(cells)
    with transaction.atomic():
        by_id = {ids[identity]: cell for identity, cell in cells.items()}
        if RollupBatch.objects.filter(shard=shard, minute=moment).exists():
            _take_back(shard, moment, by_id)
        _copy(_row(moment, shard, number, cell) for number, cell in by_id.items())
        RollupBatch.objects.create(
            id=batch.id,
            shard=shard,
            minute=moment,
            rows=len(by_id),
            late=ShardProgress.objects.filter(shard=shard, complete_until__gt=moment).exists(),
        )
    return True


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


def _row(moment: datetime, shard: int, number: int, cell: Cell) -> Row:
    data = cell.data()
    count = distinct.count(data) if cell.sketches and data is not None else cell.count
    total = None if cell.sum is None else max(-MAX_INTEGER, min(MAX_INTEGER, cell.sum))
    return moment, min(count, MAX_INTEGER), total, cell.min, cell.max, number, Resolution.MINUTE, shard, data


def _take_back(shard: int, moment: datetime, cells: dict[int, Cell]) -> None:
    """Merge the rows that an earlier batch of the minute wrote into the new cells, and delete them."""
    metrics = dict(Series.objects.filter(id__in=list(cells)).values_list("id", "metric"))
    with connection.cursor() as cursor:
        cursor.execute(
            "DELETE FROM monitoring_metricsnapshot WHERE resolution = %s AND ts = %s AND part = %s AND series_id = ANY(%s) "
            "RETURNING series_id, count, sum, min, max, data",
            [Resolution.MINUTE, moment, shard, list(cells)],
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
