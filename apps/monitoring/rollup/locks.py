"""Advisory locks of Postgres: whose turn it is, given back by the server when a process dies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from django.db import Error, connection

_SHARDS: Final = 0x61676D01
_HOLD: Final = 0x61676D02
_EVALUATION: Final = 0x61676D03
_COMPACTION: Final = 0x61676D04
_RETENTION: Final = 0x61676D05
_JUDGING: Final = 0x61676D06
_TELLING: Final = 0x61676D07


@contextmanager
def shard(number: int) -> Iterator[bool]:
    """Be the only one to roll up a shard; False when another one is at it, or a hold is on."""
    with _unheld() as free:
        if not free:
            yield False
            return
        with _try("pg_try_advisory_lock(%s, %s)", "pg_advisory_unlock(%s, %s)", [_SHARDS, number]) as mine:
            yield mine


@contextmanager
def evaluation() -> Iterator[bool]:
    """Be the only one to evaluate; False when another one is at it, or a hold is on."""
    with _unheld() as free:
        if not free:
            yield False
            return
        with _try("pg_try_advisory_lock(%s, 0)", "pg_advisory_unlock(%s, 0)", [_EVALUATION]) as mine:
            yield mine


def judging() -> None:
    """Judge a minute, or change what it reads and writes: one at a time. Waits, and holds until the transaction ends.

    Take it before any lock of a row.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_JUDGING])


def telling() -> None:
    """Tell what was not told: of two at once the second finds what the first has written. Held until the transaction ends.

    Take it after `judging`, and before any lock of a rule, of a channel or of a notification that was there.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, 0)", [_TELLING])


def compaction(number: int) -> AbstractContextManager[bool]:
    """Be the only one to compact a shard, beside whoever rolls it up; False when another one is at it."""
    return _try("pg_try_advisory_lock(%s, %s)", "pg_advisory_unlock(%s, %s)", [_COMPACTION, number])


def retention() -> AbstractContextManager[bool]:
    """Be the only one to drop what is too old; False when another one is at it."""
    return _try("pg_try_advisory_lock(%s, 0)", "pg_advisory_unlock(%s, 0)", [_RETENTION])


@contextmanager
def hold() -> Iterator[Callable[[], bool]]:
    """Keep every shard from being sealed, and every minute from being judged, while a recording is replayed.

    Waits for those under way. Gives a function that asks Postgres whether it is still on: it goes with its connection.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [_HOLD])
    own = connection.connection
    try:
        yield lambda: connection.connection is own and _answers()
    finally:
        if not _broken():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, 0)", [_HOLD])


def _unheld() -> AbstractContextManager[bool]:
    return _try("pg_try_advisory_lock_shared(%s, 0)", "pg_advisory_unlock_shared(%s, 0)", [_HOLD])


@contextmanager
def _try(lock: str, unlock: str, key: list[int]) -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {lock}", key)
        (mine,) = cursor.fetchone()
    try:
        yield mine
    finally:
        if mine and not _broken():
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {unlock}", key)


def _answers() -> bool:
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT")
    except Error:
        return False
    return True


def _broken() -> bool:
    """Whether the connection is known to be gone. Postgres has taken its locks back already."""
    return connection.connection is None or connection.connection.closed
