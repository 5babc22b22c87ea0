"""Every cell of a tenant over a range: the snapshots, plus what is still in the hot store, each thing once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import redis
from django.db import connection, transaction

from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.resolution import Resolution, Stored
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.ingest.hotstore import Batch, Held, HotStore
from apps.monitoring.models import RollupBatch, Series, ShardProgress
from apps.monitoring.query import steps, versions, whole
from apps.monitoring.query.errors import HotStoreUnavailableError
from apps.monitoring.query.owner import Owner, name_of
from apps.monitoring.query.steps import Making
from apps.monitoring.rollup import floors, periods
from apps.monitoring.rollup.cells import Cells, cells_of, merge

Answer = TypeVar("Answer")
Made = TypeVar("Made")

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
    return _apart(lambda: _read(tenant, start, end, store))


def _read(tenant: str, start: int, end: int, store: HotStore) -> Reading:
    with _reading(tenant, start, end, store) as seen:
        owner, stretches = Owner(tenant, seen.names), seen.stored.stretches(seen.start, seen.end)
        cells = whole.read(owner, versions.pieces(seen.stored, stretches))
        if seen.complete_until is not None and seen.start < seen.complete_until < seen.end:  # who asks until now asks again
            whole.read_ahead(owner, versions.pieces(seen.stored, whole.ahead(seen.stored, stretches)))
    for _, held in seen.live:
        merge(cells, cells_of(held))
    return Reading(cells, seen.complete_until, seen.known, seen.start, seen.end)


@dataclass(frozen=True, slots=True)
class Steps(Generic[Answer]):
    """What was made of each step that has any cells, by its first minute. The others as in `Reading`."""

    answers: dict[int, Answer]
    complete_until: int | None
    known: bool


def read_steps(  # noqa: PLR0913, PLR0917 - a range is three of them
    tenant: str, start: int, end: int, step: int, metrics: Sequence[str], making: Making[Answer], store: HotStore
) -> Steps[Answer]:
    """What is made of the merged cells of some metrics of a tenant in each step of ``step`` minutes.

    ``start``, ``end`` and the steps are multiples of ``step``, which divides a day. Raises HotStoreUnavailableError.
    """
    return _apart(lambda: _read_steps(tenant, start, end, step, metrics, making, store))


def _read_steps(  # noqa: PLR0913, PLR0917 - as above
    tenant: str, start: int, end: int, step: int, metrics: Sequence[str], making: Making[Answer], store: HotStore
) -> Steps[Answer]:
    coarsest = max(resolution for resolution in Resolution if step % resolution == 0)
    with _reading(tenant, start, end, store, metrics) as seen:
        live: dict[int, Cells] = {}
        for batch, held in seen.live:
            if cells := {key: cell for key, cell in cells_of(held).items() if key.metric in metrics}:
                merge(live.setdefault(batch.minute, {}), cells)
        pieces = versions.pieces(seen.stored, seen.stored.stretches(seen.start, seen.end, coarsest))
        answers = steps.read(Owner(tenant, seen.names), pieces, step, live, making)
    return Steps(answers, seen.complete_until, seen.known)


@dataclass(frozen=True, slots=True)
class Complete:
    """What was read of complete minutes alone: of each tenant that is known, the cells of each range.

    ``until`` is the first minute that is not complete; None while no shard has been rolled up.
    """

    until: int | None
    cells: dict[str, list[Cells]]


def read_complete(tenants: Collection[str], shards: int, ranges: Callable[[int], Sequence[tuple[int, int]]]) -> Complete:
    """The merged cells of some tenants ("" = all together) in ranges of complete minutes. The hot store is not asked.

    ``ranges`` says of the first minute that is not complete which ``[start, end)`` are read, none of which goes beyond it.
    """
    return _apart(lambda: _read_complete(tenants, shards, ranges))


def _read_complete(tenants: Collection[str], shards: int, ranges: Callable[[int], Sequence[tuple[int, int]]]) -> Complete:
    cells: dict[str, list[Cells]] = {}
    with transaction.atomic():
        _repeatable_read()
        until = watermark(shards)
        if until is None:
            return Complete(None, cells)
        owners = _owners(tenants)
        for asked in ranges(until):
            start, end = Stored({}, floors.read()).widen(*asked)
            stored = periods.stored(start, end)
            pieces = versions.pieces(stored, stored.stretches(start, end))  # the same for each tenant
            for owner in owners:
                cells.setdefault(owner.tenant, []).append(whole.read(owner, pieces))
    return Complete(until, cells)


def _owners(tenants: Collection[str]) -> list[Owner]:
    """Those of the tenants that have any series."""
    names: dict[str, dict[int, SeriesKey]] = {}
    owned = Series.objects.filter(tenant__in=tenants).values_list("tenant", "id", "metric", "labels")
    for tenant, number, metric, labels in owned:
        names.setdefault(tenant, {})[number] = name_of(metric, labels)
    return [Owner(tenant, own) for tenant, own in names.items()]


def _apart(reading: Callable[[], Made]) -> Made:
    """What a reading makes; inside somebody else's transaction on a connection of its own.

    Only the first statement of a transaction may choose its isolation, and without one moment for all of them what is
    committed meanwhile would count twice, and be remembered wrongly.
    """
    if not connection.in_atomic_block:
        return reading()

    def connected() -> Made:
        try:
            return reading()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as executor:  # a connection is a thread's
        return executor.submit(connected).result()


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
        _repeatable_read()
        counted = set(RollupBatch.objects.filter(id__in={batch.id for batch, _ in live}).values_list("id", flat=True))
        committed = {str(identity) for identity in counted}
        owned = Series.objects.filter(tenant=tenant)
        wanted = owned if metrics is None else owned.filter(metric__in=metrics)
        names = {number: name_of(metric, labels) for number, metric, labels in wanted.values_list("id", "metric", "labels")}
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
