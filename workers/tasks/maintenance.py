"""Queue `maintenance`."""

from __future__ import annotations

from typing import Final

from celery import shared_task
from django.utils import timezone

from apps.monitoring.alerts import history
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.rollup import clock, periods
from apps.monitoring.rollup.compaction import compact_shard
from apps.monitoring.rollup.maintenance import maintain
from apps.monitoring.runs import track

_SECONDS: Final = 180.0
"""Of compacting one shard in one task; what is left is the next tick's."""


@shared_task(name="monitoring.maintenance")
def maintenance() -> None:
    """Make time partitions ahead, check what was compacted, drop and forget what is too old."""
    with track("maintenance"):
        now = clock.earlier(timezone.now())
        maintain(now, HotStore.from_conf())
        history.forget(now)


@shared_task(name="monitoring.compaction")
def compaction() -> None:
    """One tick: a task for each shard that has something to do, so that more workers mean more throughput."""
    with track("compaction"):
        for shard in periods.stale_shards():
            compaction_shard.delay(shard)


@shared_task(name="monitoring.compaction_shard", expires=300)
def compaction_shard(shard: int) -> None:
    """Compact what is due of one shard."""
    compact_shard(shard, _SECONDS)
