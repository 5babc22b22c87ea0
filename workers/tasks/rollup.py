"""Queue `rollup`."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.rollup import clock, shards
from apps.monitoring.runs import track


@shared_task(name="monitoring.rollup")
def rollup() -> None:
    """One tick: a task for each shard, so that more workers mean more throughput."""
    with track("rollup"):
        for shard in range(HotStore.from_conf().shards):
            rollup_shard.delay(shard)


@shared_task(name="monitoring.rollup_shard", expires=60)
def rollup_shard(shard: int) -> None:
    """Seal and roll up what is due in one shard."""
    shards.roll_up(shard, clock.earlier(timezone.now()).timestamp(), HotStore.from_conf())
