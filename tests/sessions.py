"""Who else is connected to the database of this test, and whether somebody waits there."""

from __future__ import annotations

import time
from typing import Final

from django.db import connection

_OTHERS: Final = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
)


def others() -> set[int]:
    """The sessions of other clients; autovacuum is nobody's client."""
    return _pids(_OTHERS)


def newcomers(before: set[int]) -> set[int]:
    """Those that were not there before."""
    return others() - before


def at_rest() -> bool:
    """Whether nobody else asks anything, and has not for a moment: a request is a question after the other."""
    for _ in range(4):
        if _pids(_OTHERS + " AND state <> 'idle'"):
            return False
        time.sleep(0.05)
    return True


def somebody_waits_for_a_lock() -> bool:
    return bool(_pids(_OTHERS + " AND wait_event_type = 'Lock'"))


def _pids(query: str) -> set[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_clear_snapshot()")  # within a transaction it would be seen once
        cursor.execute(query)
        return {pid for (pid,) in cursor.fetchall()}
