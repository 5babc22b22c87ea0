"""Time partitions of the snapshots: made before the rows that need them, dropped when nobody needs them any more."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import psycopg
from django.db import OperationalError, connection, transaction

from apps.monitoring.core.resolution import Resolution

_log = logging.getLogger(__name__)

_PARENT: Final = "monitoring_metricsnapshot"
_SUFFIX: Final = MappingProxyType({Resolution.MINUTE: "1m", Resolution.HOUR: "1h", Resolution.DAY: "1d"})
_NAME: Final = re.compile(rf"{_PARENT}_1[mhd]_(\d{{4}})(\d\d)?(\d\d)?\Z")
_PATIENCE: Final = "1s"
"""How long a change of the partitions waits for others: it queues, and who comes after it queues behind it."""
_LOCK: Final = 0x61676D70
"""Advisory lock of whoever makes a partition."""


@dataclass(frozen=True, slots=True)
class Partition:
    """One table. ``attached`` is False when its dropping was broken off halfway; ``pending`` a little before that."""

    resolution: Resolution
    name: str
    start: datetime
    end: datetime
    bytes: int
    attached: bool = True
    pending: bool = False


def parent(resolution: Resolution) -> str:
    """The table that all partitions of a resolution belong to."""
    return f"{_PARENT}_{_SUFFIX[resolution]}"


def bounds(resolution: Resolution, moment: datetime) -> tuple[str, datetime, datetime]:
    """Name, start and end of the partition that holds a moment: a day of minutes, a month of hours, a year of days."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if resolution is Resolution.MINUTE:
        return f"{parent(resolution)}_{day:%Y%m%d}", day, day + timedelta(days=1)
    month = day.replace(day=1)
    if resolution is Resolution.HOUR:
        return f"{parent(resolution)}_{month:%Y%m}", month, (month + timedelta(days=32)).replace(day=1)
    year = month.replace(month=1)
    return f"{parent(resolution)}_{year:%Y}", year, year.replace(year=year.year + 1)


def ensure(resolution: Resolution, moment: datetime) -> None:
    """Make the partition that holds a moment, unless it exists. Call it outside the transaction that writes."""
    _ensure(resolution, *bounds(resolution, moment))


@lru_cache(maxsize=256)
def _ensure(resolution: Resolution, name: str, start: datetime, end: datetime) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [name])
        if cursor.fetchone()[0]:
            return
        # Attaching takes a lock that lets rows be written; PARTITION OF would take one that lets nobody in.
        whole, span = parent(resolution), f"FROM ('{start.isoformat()}') TO ('{end.isoformat()}')"
        cursor.execute(f"CREATE TABLE {name} (LIKE {whole} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)")
        cursor.execute(f"ALTER TABLE {whole} ATTACH PARTITION {name} FOR VALUES {span}")


def forget() -> None:
    """Forget which partitions exist, after another database is used."""
    _ensure.cache_clear()


def existing(resolution: Resolution) -> list[Partition]:
    """Every partition of a resolution, oldest first, also those that are being dropped; bytes with indexes and all."""
    with connection.cursor() as cursor:
        # One that is dropped meanwhile has no size.
        cursor.execute(
            "SELECT c.relname, coalesce(pg_total_relation_size(c.oid), 0), "
            "i.inhparent IS NOT NULL, coalesce(i.inhdetachpending, false) "
            "FROM pg_class c LEFT JOIN pg_inherits i ON i.inhrelid = c.oid "
            "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND starts_with(c.relname, %s)",
            [f"{parent(resolution)}_"],
        )
        found = cursor.fetchall()
    return sorted(
        (
            Partition(resolution, name, *_bounds_of(resolution, name), size, attached, pending)
            for name, size, attached, pending in found
        ),
        key=lambda partition: partition.start,
    )


def _bounds_of(resolution: Resolution, name: str) -> tuple[datetime, datetime]:
    match = _NAME.match(name)
    if match is None:
        msg = f"{name} is no partition of ours; a table of the database must not be named like one"
        raise ValueError(msg)
    year, month, day = (int(part or 1) for part in match.groups())
    _, start, end = bounds(resolution, datetime(year, month, day, tzinfo=UTC))
    return start, end


def drop(partition: Partition) -> bool:
    """Drop a partition without keeping a reader or a writer waiting; False when it was in use: try again later.

    It is detached concurrently first, under a lock that lets everybody read and write the other partitions. What a kill
    leaves halfway is found by `existing` and finished by the next call. Not inside a transaction.
    """
    try:
        with _impatient() as execute:
            if partition.pending:
                execute(f"ALTER TABLE {parent(partition.resolution)} DETACH PARTITION {partition.name} FINALIZE")
            elif partition.attached:
                execute(f"ALTER TABLE {parent(partition.resolution)} DETACH PARTITION {partition.name} CONCURRENTLY")
            execute(f"DROP TABLE {partition.name}")
    except OperationalError as error:
        if not isinstance(error.__cause__, psycopg.errors.LockNotAvailable):
            raise
        _log.warning("partition %s is in use, it is dropped later", partition.name)
        return False
    _ensure.cache_clear()
    return True


@contextmanager
def _impatient() -> Iterator[Callable[[str], object]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", [_PATIENCE])
        try:
            yield cursor.execute
        finally:
            if not connection.connection.closed:
                cursor.execute("RESET lock_timeout")
