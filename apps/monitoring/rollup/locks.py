"""Advisory locks of Postgres: whose turn it is, given back by the server when a process dies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from django.db import connection

_SHARDS: Final = 0x61676D01
_HOLD: Final = 0x61676D02
_EVALUATION: Final = 0x61676D03
_COMPACTION: Final = 0x61676D04
_RETENTION: Final = 0x61676D05
_JUDGING: Final = 0x61676D06


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


def compaction(number: int) -> AbstractContextManager[bool]:
    """Be the only one to compact a shard, beside whoever rolls it up; False when another one is at it."""
    return _try("pg_try_advisory_lock(%s, %s)", "pg_advisory_unlock(%s, %s)", [_COMPACTION, number])


def retention() -> AbstractContextManager[bool]:
    """Be the only one to drop what is too old; False when another one is at it."""
    return _try("pg_try_advisory_lock(%s, 0)", "pg_advisory_unlock(%s, 0)", [_RETENTION])


@contextmanager
def hold() -> Iterator[None]:
    """Keep every shard from being sealed, and every minute from being judged, while a recording is replayed.

    Waits for those under way.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s, 0)", [_HOLD])
    try:
        yield
    finally:
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
        # A connection that broke has given the lock back already.
        if mine and connection.connection is not None and not connection.connection.closed:
            with connection.cursor() as cursor:
                cursor.execute(f"SELECT {unlock}", key)
