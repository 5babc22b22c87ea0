"""Time partitions of the snapshots, made before the rows that need them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Final

from django.db import connection, transaction

_PARENT: Final = "monitoring_metricsnapshot"
_LOCK: Final = 0x61676D70
"""Advisory lock of whoever makes a partition."""


class Resolution(IntEnum):
    """Minutes in the period of a snapshot."""

    MINUTE = 1
    HOUR = 60
    DAY = 1440


def bounds(resolution: Resolution, moment: datetime) -> tuple[str, datetime, datetime]:
    """Name, start and end of the partition that holds a moment: a day of minutes, a month of hours, a year of days."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if resolution is Resolution.MINUTE:
        return f"{_PARENT}_1m_{day:%Y%m%d}", day, day + timedelta(days=1)
    month = day.replace(day=1)
    if resolution is Resolution.HOUR:
        return f"{_PARENT}_1h_{month:%Y%m}", month, (month + timedelta(days=32)).replace(day=1)
    year = month.replace(month=1)
    return f"{_PARENT}_1d_{year:%Y}", year, year.replace(year=year.year + 1)


def ensure(resolution: Resolution, moment: datetime) -> None:
    """Make the partition that holds a moment, unless it exists. Call it outside the transaction that writes."""
    _ensure(resolution, *bounds(resolution, moment))


@lru_cache(maxsize=256)
def _ensure(resolution: Resolution, name: str, start: datetime, end: datetime) -> None:
    parent = f"{_PARENT}_{ {Resolution.MINUTE: '1m', Resolution.HOUR: '1h', Resolution.DAY: '1d'}[resolution] }"
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if cursor.fetchone()[0]:
            return
        # Attaching takes a lock that lets rows be written; PARTITION OF would take one that lets nobody in.
        cursor.execute(f"CREATE TABLE {name} (LIKE {parent} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
        cursor.execute(
            f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        )


def forget() -> None:
    """Forget which partitions exist, after another database is used."""
    _ensure.cache_clear()
