"""Every cell of a tenant over a range: the snapshots, plus what is still in the hot store, each thing once."""

from __future__ import annotations

from dataclasses import dataclass

import redis
from django.db import connection, transaction

from apps.monitoring.catalogue import USER_PREFIX
from apps.monitoring.core import series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL, SeriesKey
from apps.monitoring.ingest.hotstore import Batch, Held, HotStore, shard_of
from apps.monitoring.models import RollupBatch, Series, ShardProgress
from apps.monitoring.query.errors import HotStoreUnavailableError
from apps.monitoring.rollup.cells import Cells, cells_of, merge


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read, and until which minute it is complete (None: no shard has been rolled up yet)."""

    cells: Cells
    complete_until: int | None
    known: bool


def read(tenant: str, start: int, end: int, store: HotStore) -> Reading:
    """The merged cells of a tenant ("" = all together) in the minutes ``[start, end)``.

    The hot store is read first and Postgres second, in one snapshot: a batch that was seen in the hot store and is
    committed by then is left out by its id, one that was not seen any more is in the snapshots. So nothing is
    counted twice or missed, whatever the roll-up does meanwhile. Raises HotStoreUnavailableError.
    """
    shards = range(store.shards) if tenant == GLOBAL else [shard_of(tenant, store.shards)]
    try:
        live = [item for shard in shards for item in _live(store, shard, tenant, start, end)]
        known = bool(live) or any(store.knows(shard, tenant) for shard in shards)
    except (redis.RedisError, OSError) as error:
        msg = f"the hot store does not answer: {error}"
        raise HotStoreUnavailableError(msg) from error
    with transaction.atomic():
        if not connection.savepoint_ids:  # only the first statement of a transaction may choose its isolation
            _repeatable_read()
        counted = set(RollupBatch.objects.filter(id__in={batch.id for batch, _ in live}).values_list("id", flat=True))
        cells = _stored(tenant, start, end)
        complete_until = watermark(store.shards)
        known = known or Series.objects.filter(tenant=tenant).exists()
    committed = {str(identity) for identity in counted}
    for batch, held in live:
        if batch.id not in committed:
            merge(cells, cells_of(held))
    return Reading(cells, complete_until, known)


def watermark(shards: int) -> int | None:
    """The first minute that is not complete in every shard; None before each has been rolled up once."""
    moments = list(ShardProgress.objects.filter(shard__lt=shards).values_list("complete_until", flat=True))
    return min(map(to_minute, moments)) if len(moments) == shards else None


def _live(store: HotStore, shard: int, tenant: str, start: int, end: int) -> list[tuple[Batch, Held]]:
    batches = [batch for batch in store.backlog(shard) if start <= batch.minute < end]
    return [(batch, held) for batch in batches for held in store.read_tenants(shard, [batch], [tenant])]


def _repeatable_read() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _stored(tenant: str, start: int, end: int) -> Cells:
    cells: Cells = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.metric, s.labels, sum(m.count), sum(m.sum), min(m.min), max(m.max), "
            "array_agg(m.data) FILTER (WHERE m.data IS NOT NULL) "
            "FROM monitoring_series s JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
            "WHERE s.tenant = %s AND m.resolution = %s AND m.ts >= %s AND m.ts < %s GROUP BY s.id",
            [tenant, Resolution.MINUTE, to_datetime(start), to_datetime(end)],
        )
        for metric, labels, count, total, low, high, datas in cursor.fetchall():
            cell = Cell(int(count), None if total is None else int(total), low, high)
            for data in datas or ():
                cell.merge(Cell.stored(metric, 0, None, None, None, data))
            cells[_key(metric, labels)] = cell
    return cells


def _key(metric: str, labels: str) -> SeriesKey:
    if not labels:
        return SeriesKey(metric)
    if metric.startswith(USER_PREFIX):
        return SeriesKey(metric, (labels,))
    return SeriesKey(metric, tuple(series.labels_dict(labels).values()))
