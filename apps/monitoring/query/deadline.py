"""How long one request may take, what it asks of the database included."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from django.db import OperationalError, connection, transaction
from psycopg.pq import TransactionStatus

from apps.monitoring.query.errors import QueryError

Clock = Callable[[], float]
"""Seconds."""
_LEAST: Final = 50
"""Milliseconds: the statements that end a transaction need some, too."""


class SlowError(QueryError):
    """The database has not answered in time."""


class Deadline:
    """So many seconds from now on."""

    def __init__(self, seconds: float, clock: Clock = time.monotonic) -> None:
        self.seconds = seconds
        self._clock = clock
        self._until = clock() + seconds

    def again(self) -> Deadline:
        """As much time, from now on."""
        return Deadline(self.seconds, self._clock)

    def allow(self, seconds: float) -> None:
        """Leave so many seconds at least."""
        self._until = max(self._until, self._clock() + seconds)

    @property
    def left(self) -> float:
        """Seconds; not above 0 when it is over."""
        return self._until - self._clock()

    @property
    def is_over(self) -> bool:
        """Whether nothing is left."""
        return self.left <= 0

    @contextmanager
    def statements(self) -> Iterator[None]:
        """A transaction in which each statement ends when the time is over; a shorter limit that the database has stays.

        Raises SlowError in the place of what such a statement raises.
        """
        try:
            with transaction.atomic():
                known = _limit()
                with connection.execute_wrapper(self._limited(known)):
                    yield
                if connection.savepoint_ids:  # an outer transaction goes on
                    _set_limit(known)
        except OperationalError as error:
            if not self.ended(error):
                raise
            msg = f"the database took longer than {self.seconds:g} s"
            raise SlowError(msg) from error

    def ended(self, error: OperationalError) -> bool:
        """Whether a statement was ended because the time is over, and not by somebody else."""
        return self.is_over and isinstance(error.__cause__, psycopg.errors.QueryCanceled)

    def _limited(self, known: int) -> Callable[..., Any]:
        def run(execute: Callable[..., Any], *statement: Any) -> Any:
            if connection.connection.info.transaction_status != TransactionStatus.INERROR:  # all it takes then is a rollback
                left = max(_LEAST, math.ceil(self.left * 1_000))
                _set_limit(min(left, known) if known else left)
            return execute(*statement)

        return run


def _limit() -> int:
    """Milliseconds that a statement may take by the settings of the database; 0 is no limit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT setting::int FROM pg_settings WHERE name = 'statement_timeout'")
        (found,) = cursor.fetchone()
    return int(found)


def _set_limit(milliseconds: int) -> None:
    """Until the transaction ends; beside the wrappers of Django, of which this is one."""
    with connection.wrap_database_errors:
        connection.connection.execute("SELECT set_config('statement_timeout', %s, true)", [str(milliseconds)])
