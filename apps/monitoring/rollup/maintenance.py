"""What keeps the tables in shape, once an hour."""

from __future__ import annotations

from datetime import datetime, timedelta

from apps.monitoring.rollup import partitions
from apps.monitoring.rollup.partitions import Resolution


def maintain(now: datetime) -> None:
    """Make the partitions of today and tomorrow, so that no roll-up has to."""
    for day in (now, now + timedelta(days=1)):
        partitions.ensure(Resolution.MINUTE, day)
