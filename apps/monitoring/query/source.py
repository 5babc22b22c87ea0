"""Every cell of a tenant over a range: the snapshots, plus what is still in the hot store, each thing once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from types import MappingProxyType
from typing import Final

import redis
from django.db import connection, transaction

from apps.monitoring.catalogue import DISTINCT, METRICS, USER_PREFIX, Kind
from apps.monitoring.core import histogram, merging, series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.resolution import Resolution, Stored, Stretch
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.ingest.hotstore import Batch, Held, HotStore
from apps.monitoring.models import RollupBatch, Series, ShardProgress
from apps.monitoring.query import remembered, rows
from apps.monitoring.query.errors import HotStoreUnavailableError
from apps.monitoring.query.rows import Merged
from apps.monitoring.rollup import batches, floors, periods
from apps.monitoring.rollup.cells import Cells, cells_of, merge

_DATA: Final = (Kind.HISTOGRAM, Kind.DISTINCT)
_TEN: Final = 10
"""Minutes that are remembered together. All together have a row of each shard for each minute."""
_KINDS: Final = MappingProxyType({name: metric.kind for name, metric in METRICS.items()})

Live = list[tuple[Batch, Held]]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of the minutes ``[start, end)``, and until which minute it is complete.

    ``complete_until`` is None while no shard has been rolled up. The range is wider than what was asked for where only
    whole hours or days are still kept.
    """

    cells: Cells
    complete_until: int | None
    known: bool
    start: int
    end: int


def read(tenant: str, start: int, end: int, store: HotStore) -> Reading:
    """The merged cells of a tenant ("" = all together) in the minutes ``[start, end)``, live to the second.

    Raises HotStoreUnavailableError.
    """
    with _reading(tenant, start, end, store) as seen:
        cells = _stored(tenant, seen.names, seen.stored.stretches(seen.start, seen.end))
    for _, held in seen.live:
        merge(cells, cells_of(held))
    return Reading(cells, seen.complete_until, seen.known, seen.start, seen.end)


@dataclass(frozen=True, slots=True)
class Steps:
    """The cells of each step that has any, by its first minute. ``complete_until`` and ``known`` as in `Reading`."""

    cells: dict[int, Cells]
    complete_until: int | None
    known: bool


def read_steps(tenant: str, start: int, end: int, step: int, metrics: Sequence[str], store: HotStore) -> Steps:
    """The merged cells of some metrics of a tenant in each step of ``step`` minutes.

    ``start``, ``end`` and the steps are multiples of ``step``, which divides a day. Raises HotStoreUnavailableError.
    """
    coarsest = max(resolution for resolution in Resolution if step % resolution == 0)
    found: dict[int, Cells] = {}
    with _reading(tenant, start, end, store, metrics) as seen:
        stretches = seen.stored.stretches(seen.start, seen.end, coarsest)
        merged = rows.read(list(seen.names), _with_data(seen.names), stretches, step)
    for one, cell in zip(merged, _cells(merged, seen.names), strict=True):
        found.setdefault(one.start, {})[seen.names[one.series]] = cell
    for batch, held in seen.live:
        cells = {key: cell for key, cell in cells_of(held).items() if key.metric in metrics}
        if cells:
            merge(found.setdefault(batch.minute - batch.minute % step, {}), cells)
    return Steps(found, seen.complete_until, seen.known)


def watermark(shards: int) -> int | None:
    """The first minute that is not complete in every shard; None before each has been rolled up once."""
    moments = list(ShardProgress.objects.filter(shard__lt=shards).values_list("complete_until", flat=True))
    return min(map(to_minute, moments)) if len(moments) == shards else None


@dataclass(frozen=True, slots=True)
class _Seen:
    """One moment of both stores. ``live`` is what the snapshots do not hold."""

    start: int
    end: int
    stored: Stored
    names: dict[int, SeriesKey]
    live: Live
    known: bool
    complete_until: int | None


@contextmanager
def _reading(tenant: str, start: int, end: int, store: HotStore, metrics: Sequence[str] | None = None) -> Iterator[_Seen]:
    """Read the hot store first and Postgres second, in one snapshot that is open meanwhile.

    A batch that was seen in the hot store and is committed by then is left out by its id, one that was not seen any more
    is in the snapshots. So nothing is counted twice or missed, whatever the roll-up does meanwhile.
    """
    start, end = Stored({}, floors.read()).widen(start, end)
    try:
        # Of every shard: a tenant had another one before MONITORING_SHARDS was changed, and still has for an old writer.
        found = store.backlogs(range(store.shards))
        live = list(store.read_tenant([(shard, batch) for shard, batch in found if start <= batch.minute < end], tenant))
        known = bool(live) or store.knows(found, tenant)
    except (redis.RedisError, OSError) as error:
        msg = f"the hot store does not answer: {error}"
        raise HotStoreUnavailableError(msg) from error
    with transaction.atomic():
        if not connection.savepoint_ids:  # only the first statement of a transaction may choose its isolation
            _repeatable_read()
        counted = set(RollupBatch.objects.filter(id__in={batch.id for batch, _ in live}).values_list("id", flat=True))
        committed = {str(identity) for identity in counted}
        owned = Series.objects.filter(tenant=tenant)
        wanted = owned if metrics is None else owned.filter(metric__in=metrics)
        names = {number: _key(metric, labels) for number, metric, labels in wanted.values_list("id", "metric", "labels")}
        yield _Seen(
            start,
            end,
            periods.stored(start, end),
            names,
            [(batch, held) for batch, held in live if batch.id not in committed],
            known or bool(names) or owned.exists(),
            watermark(store.shards),
        )


def _repeatable_read() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _stored(tenant: str, names: dict[int, SeriesKey], stretches: Sequence[Stretch]) -> Cells:
    """What was read before is not read again where it can be told that it is still the same."""
    loose: list[Stretch] = []
    tens: list[int] = []
    long: list[Stretch] = []
    for stretch in stretches:
        if stretch.resolution is Resolution.MINUTE:
            whole = range(-(-stretch.start // _TEN) * _TEN, stretch.end - _TEN + 1, _TEN)
            if not whole or batches.without_proof(whole[0]):
                loose.append(stretch)
                continue
            tens += whole
            edges = ((stretch.start, whole[0]), (whole[-1] + _TEN, stretch.end))
            loose += [Stretch(Resolution.MINUTE, start, end) for start, end in edges if start < end]
        elif stretch.end - stretch.start > stretch.resolution:
            long.append(stretch)
        else:
            loose.append(stretch)
    parts = rows.read(list(names), _with_data(names), loose)
    for found in (_read_tens(tenant, names, tens), _read_long(tenant, names, long)):
        for part in found:
            parts += part
    merged = rows.together(parts)
    return {names[one.series]: cell for one, cell in zip(merged, _cells(merged, names), strict=True)}


def _read_tens(tenant: str, names: dict[int, SeriesKey], tens: Sequence[int]) -> list[Sequence[Merged]]:
    """The merged rows of each ten minutes, known by the batches that they came with, of whatever shard."""
    versions: dict[int, tuple[int, datetime]] = {}
    for start, end in _joined(tens):
        versions |= batches.versions(start, end, _TEN)

    def read(missing: list[int]) -> list[list[Merged]]:
        chosen = [tens[place] for place in missing]
        found: dict[int, list[Merged]] = {start: [] for start in chosen}
        stretches = [Stretch(Resolution.MINUTE, start, end) for start, end in _joined(chosen)]
        for one in _merged(names, stretches, _TEN):
            found[one.start].append(one)
        return list(found.values())

    return remembered.each([(tenant, start, versions.get(start)) for start in tens], read)


def _joined(tens: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ascending tens of minutes, those that follow each other together."""
    for _, run in groupby(enumerate(tens), lambda numbered: numbered[1] - numbered[0] * _TEN):
        own = [start for _, start in run]
        yield own[0], own[-1] + _TEN


def _read_long(tenant: str, names: dict[int, SeriesKey], long: Sequence[Stretch]) -> list[Sequence[Merged]]:
    """The merged rows of each stretch of several hours or days, known by what these were made of."""

    def read(missing: list[int]) -> list[list[Merged]]:
        return [_merged(names, [long[place]], None) for place in missing]

    versions = [periods.version(stretch.resolution, stretch.start, stretch.end) for stretch in long]
    return remembered.each([(tenant, *key) for key in zip(long, versions, strict=True)], read)


def _merged(names: dict[int, SeriesKey], stretches: Sequence[Stretch], step: int | None) -> list[Merged]:
    """Each series of each step with its bytes merged into one piece."""
    found = rows.read(list(names), _with_data(names), stretches, step)
    datas = [cell.data() for cell in _cells(found, names)]
    return [replace(one, datas=() if data is None else (data,)) for one, data in zip(found, datas, strict=True)]


def _with_data(names: dict[int, SeriesKey]) -> list[int]:
    """The series that have a histogram or a sketch; those of the users' own may have."""
    return [number for number, name in names.items() if _KINDS.get(name.metric, Kind.HISTOGRAM) in _DATA]


def _cells(merged: Sequence[Merged], names: dict[int, SeriesKey]) -> list[Cell]:
    """The cell of each, its bytes merged."""
    cells = [Cell(one.count, one.sum, one.min, one.max) for one in merged]
    sketched = [number for number, one in enumerate(merged) if one.datas and names[one.series].metric in DISTINCT]
    for number, sketch in zip(sketched, merging.sketches([merged[number].datas for number in sketched]), strict=True):
        cells[number].sketches = [sketch]
    drawn = [number for number, one in enumerate(merged) if one.datas and names[one.series].metric not in DISTINCT]
    for number, data in zip(drawn, merging.histograms([merged[number].datas for number in drawn]), strict=True):
        cells[number].buckets = histogram.decode(data)
    return cells


def _key(metric: str, labels: str) -> SeriesKey:
    if not labels:
        return SeriesKey(metric)
    if metric.startswith(USER_PREFIX):
        return SeriesKey(metric, (labels,))
    return SeriesKey(metric, tuple(series.labels_dict(labels).values()))
