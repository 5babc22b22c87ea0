"""A process that rolls up every shard with the task that workers run, or judges what is complete, and kills itself.

`python -m tests.faults.dying POINT NTH [NOW]`: with NOW (epoch seconds) it evaluates, else it rolls up. POINT is a
method of the hot store or the beginning of an SQL statement (names quoted or not), with "before " or "after " in front;
it dies at the NTH time it comes there. Ends with 0 when it never came there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import django
import psycopg
from django.db.backends.base.base import BaseDatabaseWrapper

METHODS = {"seal", "chunks", "drop"}


def main(point: str, nth: int, now: float | None = None) -> None:
    django.setup()
    when, _, what = point.partition(" ")
    countdown = Countdown(when, nth)
    if what in METHODS:
        die_at_method(what, countdown)
    from django.db import connection

    from apps.monitoring.conf import conf
    from workers.tasks.rollup import rollup_shard

    if now is not None:
        from apps.monitoring.alerts.evaluate import evaluate

        die_after_copies(what, countdown)
        with connection.execute_wrapper(dying_execute(what, countdown)):
            evaluate(now)
        return
    with connection.execute_wrapper(dying_execute(what, countdown)):
        die_on_copies_too(connection)
        for shard in range(conf().shards):
            rollup_shard(shard)


def die_on_copies_too(connection: BaseDatabaseWrapper) -> None:
    """Connections made beside this one have its wrappers."""
    copy = connection.copy

    def wrapped() -> BaseDatabaseWrapper:
        made = copy()
        made.execute_wrappers = connection.execute_wrappers
        return made

    connection.copy = wrapped  # type: ignore[method-assign]


def die_after_copies(beginning: str, countdown: Countdown) -> None:
    """What is copied in is no statement that Django's wrappers see."""
    copy = psycopg.Cursor.copy

    @contextmanager
    def dying(cursor: psycopg.Cursor[Any], statement: str) -> Iterator[psycopg.Copy]:
        with copy(cursor, statement) as into:
            yield into
        if statement.startswith(beginning):
            countdown.around(lambda: None)

    psycopg.Cursor.copy = dying  # type: ignore[method-assign, assignment]


class Countdown:
    def __init__(self, when: str, left: int) -> None:
        self.when, self.left = when, left

    def around(self, run: Callable[[], Any]) -> Any:
        self.left -= 1
        if self.left == 0 and self.when == "before":
            die()
        answer = run()
        if self.left == 0:
            die()
        return answer


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_at_method(name: str, countdown: Countdown) -> None:
    """The hot store of this process is one that dies; everything else of it is the real one."""
    from apps.monitoring.ingest import hotstore
    from workers.tasks import rollup

    class Dying(hotstore.HotStore):
        pass

    method = getattr(hotstore.HotStore, name)

    def dying(self: Dying, *args: Any) -> Any:
        return countdown.around(lambda: list(method(self, *args)) if name == "chunks" else method(self, *args))

    setattr(Dying, name, dying)
    rollup.HotStore = Dying  # type: ignore[misc]


def dying_execute(beginning: str, countdown: Countdown) -> Callable[..., Any]:
    def wrapper(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
        if not beginning or not sql.strip().replace('"', "").startswith(beginning.replace('"', "")):
            return execute(sql, params, many, context)
        return countdown.around(lambda: execute(sql, params, many, context))

    return wrapper


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:]))
