"""Putting events into the hot store, rolling them up, and reading every snapshot row back."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import redis
from django.db import connection

from apps.monitoring.core import distinct, histogram
from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.event import Event
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import Compaction, RollupBatch, ShardProgress
from apps.monitoring.rollup import periods, shards
from apps.monitoring.rollup.compaction import compact_shard
from tests.integration.ingest.hot import MINUTE, Writer, interaction
from tests.unit.ingest.made import KINDS, event

AFTER = (MINUTE + 30) * 60.0
"""When every minute of the tests is long due."""

TENANTS = [f"tenant-{number}" for number in range(12)]

Row = tuple[str, str, str, int, int]
"""Tenant, metric, labels, minute, shard."""


def send(*events: Event, store: HotStore | None = None) -> None:
    assert Writer(store or HotStore.from_conf()).send(*events)


def roll_up(now: float = AFTER) -> int:
    return sum(tick.batches for tick in shards.roll_up_all(now, HotStore.from_conf()))


def compact() -> int:
    """Compact everything that is due; returns how many hours and days that were."""
    return sum(compact_shard(shard, 60.0).periods for shard in periods.stale_shards())


def rows(resolution: Resolution = Resolution.MINUTE) -> dict[Row, tuple[Any, ...]]:
    """Every row of one resolution under names that do not depend on when its series was first seen."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT s.tenant, s.metric, s.labels, m.ts, m.part, m.count, m.sum, m.min, m.max, m.data "
            "FROM monitoring_metricsnapshot m JOIN monitoring_series s ON s.id = m.series_id WHERE m.resolution = %s",
            [resolution],
        )
        found = cursor.fetchall()
    kept = {
        (tenant, metric, labels, to_minute(ts), part): (count, total, low, high, None if data is None else bytes(data))
        for tenant, metric, labels, ts, part, count, total, low, high, data in found
    }
    assert len(kept) == len(found)
    return kept


def merged(found: dict[Row, tuple[Any, ...]], of: Callable[[Row], Any]) -> dict[Any, dict[str, Any]]:
    """The rows merged under the key that ``of`` gives; a key of None is left out."""
    whole: dict[Any, dict[str, Any]] = {}
    for row, (count, total, low, high, data) in found.items():
        key = of(row)
        if key is None:
            continue
        one = whole.setdefault(key, {"count": 0, "sum": 0, "min": set(), "max": set(), "buckets": {}, "sketches": []})
        one["sum"] += total or 0
        one["min"] |= {low} - {None}
        one["max"] |= {high} - {None}
        if row[1] in {"conversations", "handoff_conversations"}:
            one["sketches"].append(data)
            continue
        one["count"] += count
        histogram.merge(one["buckets"], histogram.decode(data) if data is not None else {})
    return {key: finished(one) for key, one in whole.items()}


def finished(one: dict[str, Any]) -> dict[str, Any]:
    return {
        "count": distinct.count(distinct.merge(one["sketches"])) if one["sketches"] else one["count"],
        "sum": one["sum"],
        "min": min(one["min"], default=None),
        "max": max(one["max"], default=None),
        "buckets": one["buckets"],
    }


def value(metric: str, tenant: str, minutes: Iterable[int] | None = None) -> int:
    """The count of a metric of a tenant, over all labels, minutes and shards."""
    wanted = merged(
        rows(), lambda row: True if row[:2] == (tenant, metric) and (minutes is None or row[3] in minutes) else None
    )
    return int(wanted[True]["count"]) if wanted else 0


def nameless() -> int:
    """The rows of any resolution that have no series, or one that could be purged while they are there."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM monitoring_metricsnapshot m LEFT JOIN monitoring_series s ON s.id = m.series_id "
            "WHERE coalesce(s.leased_until < (m.ts AT TIME ZONE 'UTC')::date, true)"
        )
        return int(cursor.fetchone()[0])


def some(count: int, seed: int = 1, minutes: int = 3) -> list[Any]:
    """Interactions of some tenants in some minutes, and events of every kind among them."""
    generator = random.Random(seed)
    made: list[Any] = []
    for number in range(count):
        tenant, minute = generator.choice(TENANTS), MINUTE + generator.randrange(minutes)
        made.append(
            interaction(
                generator.randrange(40),
                tenant,
                minute,
                processing_time_ms=generator.lognormvariate(6, 1),
                model_used=generator.choice(["gpt-4o", "mini", None]),
                handoff_triggered=generator.random() < 0.2,
                agent_response="" if generator.random() < 0.9 else None,
                estimated_cost=generator.choice([None, 0.01, 0.1]),
            )
        )
        kind = generator.choice(list(KINDS))
        if number % 5 == 0:
            made.append(event(kind, minute * 60.0, tenant))
    return made


def clear(valkey: redis.Redis) -> None:
    """As if nothing had been recorded; series are still known."""
    valkey.flushall()
    RollupBatch.objects.all().delete()
    ShardProgress.objects.all().delete()
    Compaction.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_metricsnapshot")
