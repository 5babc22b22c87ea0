"""`manage.py compact`."""

from __future__ import annotations

import math
from typing import Any

from tqdm import tqdm

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.rollup import periods
from apps.monitoring.rollup.compaction import compact_shard
from apps.monitoring.runs import track


class Command(MonitoringCommand):
    """Compact every hour and day that is due, now, in this process."""

    help = "Merge every hour and day that is due out of its minutes and hours, now. Safe beside running workers."

    def run(self, **_: Any) -> dict[str, Any]:
        """Every shard, until nothing is due."""
        with track("compaction"), tqdm(desc="compact", unit=" rows", unit_scale=True, disable=None) as progress:
            runs = [compact_shard(shard, math.inf, progress.update) for shard in periods.stale_shards()]
        read, seconds = sum(run.read for run in runs), sum(run.seconds for run in runs)
        return {
            "periods": sum(run.periods for run in runs),
            "rows_read": read,
            "rows_written": sum(run.written for run in runs),
            "rows_per_second": round(read / seconds) if seconds else None,
            "busy_shards": sum(run.busy for run in runs),
            "stale_hours": periods.stale_count(Resolution.HOUR),
            "stale_days": periods.stale_count(Resolution.DAY),
        }
