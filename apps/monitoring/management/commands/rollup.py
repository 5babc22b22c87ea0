"""`manage.py rollup`."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from apps.monitoring.core.clock import isoformat
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query.source import watermark
from apps.monitoring.rollup import clock, shards
from apps.monitoring.runs import track


class Command(MonitoringCommand):
    """Seal and roll up every minute that is due, now, in this process."""

    help = "Seal and roll up every minute that is due, now, in this process. Safe beside running workers."

    def run(self, **_: Any) -> dict[str, Any]:
        """Tick every shard."""
        store = HotStore.from_conf()
        with track("rollup"):
            ticks = shards.roll_up_all(clock.earlier(timezone.now()).timestamp(), store)
        until = watermark(store.shards)
        return {
            "batches": sum(tick.batches for tick in ticks),
            "shards": len(ticks),
            "busy_shards": sum(tick.busy for tick in ticks),
            "complete_until": None if until is None else isoformat(until),
        }
