"""Who else is connected to the database of this test, and whether somebody waits there."""

from __future__ import annotations

from typing import Final

from django.db import connection

_OTHERS: Final = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def others() -> int:
    """The other clients' sessions; autovacuum is nobody's client."""
    return _count(_OTHERS)


def somebody_waits_for_a_lock() -> bool:
    return _count(_OTHERS + " AND wait_event_type = 'Lock'") > 0


def _count(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction it would be seen once
        cursor.execute(query)
        (count,) = cursor.fetchone()
    return int(count)
