"""What keeps the tables in shape, once an hour."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.rollup import invariants, partitions, retention
from apps.monitoring.rollup.retention import Retained

_CHECKED: Final = 2
"""Hours and days that are compared with what they were made of, a run."""


def maintain(now: datetime, store: HotStore) -> Retained:
    """Make the partitions of today and tomorrow, so that no roll-up has to; check a sample; drop what is too old."""
    for day in (now, now + timedelta(days=1)):
        for resolution in Resolution:
            partitions.ensure(resolution, day)
    invariants.check_sample(_CHECKED)
    return retention.retain(now, store)
