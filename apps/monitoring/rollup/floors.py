"""Before which moment a resolution has no rows any more, and where rows of an old minute go then."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Final

from django.db import connection, transaction
from django.db.models import F, QuerySet

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.models import Compaction, RetentionFloor

_LOCK: Final = 0x61676D71
"""Advisory lock: shared by who writes rows, exclusive for who moves a floor."""
_TRIES: Final = 40
_PAUSE_SECONDS: Final = 0.1


class StaleError(Exception):
    """A floor cannot be moved beyond what is not compacted yet."""


def read() -> dict[Resolution, int]:
    """The floors that have been set, as minutes."""
    return {Resolution(resolution): to_minute(ts) for resolution, ts in RetentionFloor.objects.values_list("resolution", "ts")}


def destination(minute: int, refused_before: int) -> Resolution | None:
    """The finest resolution that still has rows of a minute; None when there is none.

    ``refused_before`` is where the longest retention ends by the clock: nobody makes partitions for what lies before.
    """
    if minute < refused_before:
        return None
    floors = read()

    def has_rows(resolution: Resolution) -> bool:
        """It and all coarser ones: of a minute whose hour is gone the day would be made anew, of that minute alone."""
        return all(one.floor(minute) >= floors.get(one, 0) for one in Resolution if one >= resolution)

    return next(filter(has_rows, Resolution), None)


def hold() -> None:
    """Keep the floors where they are until the transaction ends. Never waits for long: who moves them does not queue."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [_LOCK])


def move(resolution: Resolution, to: datetime, now: datetime) -> bool:
    """Declare that rows that begin before ``to`` are dropped; False when the floor is there already, or nobody let us.

    Raises StaleError when anything before it is yet to be compacted.
    """
    for _ in range(_TRIES):
        with transaction.atomic():
            if _alone():
                return _move(resolution, to, now)
        time.sleep(_PAUSE_SECONDS)
    return False


def _alone() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [_LOCK])
        return bool(cursor.fetchone()[0])


def _move(resolution: Resolution, to: datetime, now: datetime) -> bool:
    if read().get(resolution, 0) >= to_minute(to):
        return False
    stale = _stale(to).order_by("ts", "resolution").first()
    if stale is not None:
        msg = f"{stale} is not compacted yet"
        raise StaleError(msg)
    RetentionFloor.objects.update_or_create(resolution=resolution, defaults={"ts": to, "moved_at": now})
    return True


def _stale(to: datetime) -> QuerySet[Compaction]:
    """What has to be compacted before rows that begin before ``to`` may go, of whatever resolution.

    A period becomes part of the coarser ones; and who makes one must not find its partition dropped, not that of days either.
    """
    return Compaction.objects.filter(changes__gt=F("compacted"), ts__lt=to)


def settled(resolution: Resolution, before: datetime) -> datetime:
    """The floor of a resolution that was moved before a moment; the epoch when there is none."""
    found = RetentionFloor.objects.filter(resolution=resolution, moved_at__lte=before).values_list("ts", flat=True).first()
    return found or to_datetime(0)
