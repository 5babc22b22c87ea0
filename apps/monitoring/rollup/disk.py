"""What the product takes on disk, and what the snapshots will take."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from django.db import ProgrammingError, connection, transaction

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.models import SeriesPurge
from apps.monitoring.rollup import partitions, retention
from apps.monitoring.rollup.partitions import Partition


@dataclass(frozen=True, slots=True)
class Usage:
    """The rows of one resolution. ``forecast`` is what they take when they have been coming for as long as they are kept."""

    resolution: Resolution
    partitions: list[Partition]
    kept_days: int
    oldest: datetime | None
    forecast: int | None
    """Bytes; None before there is a row to go by."""

    @property
    def bytes(self) -> int:
        """With indexes and all."""
        return sum(partition.bytes for partition in self.partitions)

    def overdue(self, now: datetime) -> list[Partition]:
        """The partitions that should have been dropped days ago."""
        return [one for one in self.partitions if one.end < now - timedelta(days=self.kept_days + 3)]


@dataclass(frozen=True, slots=True)
class SeriesUse:
    """What the names of the rows take, and how many were purged so far because they had no row any more."""

    number: int | None
    """About how many there are, by the statistics of Postgres; None before it has any."""
    bytes: int
    """With indexes and all."""
    purged: int
    purged_at: datetime | None


def usage(now: datetime) -> list[Usage]:
    """Every resolution, finest first."""
    return [_usage(resolution, now) for resolution in Resolution]


def series() -> SeriesUse:
    """The series, which stay as long as a row of any resolution refers to them."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT nullif(reltuples, -1)::bigint, pg_total_relation_size(oid) FROM pg_class "
            "WHERE oid = 'monitoring_series'::regclass"
        )
        number, size = cursor.fetchone()
    purge = SeriesPurge.objects.first()
    return SeriesUse(number, size, *((0, None) if purge is None else (purge.purged, purge.purged_at)))


def tables() -> dict[str, int]:
    """Bytes of every table of the product but the partitions of the snapshots, indexes and all, the largest first."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT c.relname, pg_total_relation_size(c.oid) FROM pg_class c "
            "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' "
            "AND starts_with(c.relname, 'monitoring_') AND NOT starts_with(c.relname, 'monitoring_metricsnapshot') "
            "ORDER BY 2 DESC, 1"
        )
        return dict(cursor.fetchall())


def _usage(resolution: Resolution, now: datetime) -> Usage:
    existing = partitions.existing(resolution)
    kept = retention.kept_days(resolution)
    filled = [partition for partition in existing if partition.start <= now and _filled(partition)]
    oldest = filled[0].start if filled else None
    return Usage(resolution, existing, kept, oldest, _forecast(filled, kept, now))


def _forecast(filled: list[Partition], kept: int, now: datetime) -> int | None:
    """By the newest partition that is full, or by the one that is being filled when there is no other."""
    if not filled:
        return None
    ended = [partition for partition in filled if partition.end <= now]
    newest = ended[-1] if ended else filled[-1]
    days = (min(now, newest.end) - newest.start) / timedelta(days=1)
    return round(newest.bytes / max(days, 1 / 24) * kept)


def _filled(partition: Partition) -> bool:
    """Whether it has rows; one that was dropped after it was found has none."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT EXISTS (SELECT FROM {partition.name})")  # noqa: S608 - a name of the catalogue
            return bool(cursor.fetchone()[0])
    except ProgrammingError as error:
        if not isinstance(error.__cause__, psycopg.errors.UndefinedTable):
            raise
        return False
