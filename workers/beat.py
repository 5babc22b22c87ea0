"""Beat with a standby: of several, one ticks (`celery -A workers.app beat -S workers.beat:Scheduler`)."""

from __future__ import annotations

import logging
from typing import Any, Final

import psycopg
from django.db import connection
from django_celery_beat.schedulers import DatabaseScheduler

_log = logging.getLogger(__name__)

_LOCK: Final = 0x61676D10
_STANDBY_SECONDS: Final = 2.0


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """Ticks while it holds an advisory lock of Postgres, on a connection of its own.

    Two plain DatabaseSchedulers send every tick twice. When the leader dies, Postgres gives the lock back with its
    connection and a standby takes over within seconds.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._leadership: psycopg.Connection[tuple[Any, ...]] | None = None
        super().__init__(*args, **kwargs)

    def tick(self, *args: Any, **kwargs: Any) -> float:
        """One tick as the leader; a look at the lock otherwise. Returns the seconds to the next one."""
        if not self._leads():
            return _STANDBY_SECONDS
        seconds: float = super().tick(*args, **kwargs)
        return min(seconds, 5.0)

    def close(self) -> None:
        """Step down."""
        super().close()
        if self._leadership is not None:
            self._leadership.close()

    def _leads(self) -> bool:
        try:
            if self._leadership is not None:
                self._leadership.execute("SELECT 1")
                return True
            return self._campaign()
        except psycopg.Error as error:
            if self._leadership is not None:
                _log.warning("beat steps down, its connection is gone: %s", error)
                self._leadership.close()
                self._leadership = None
            return False

    def _campaign(self) -> bool:
        candidate = _connect()
        row = candidate.execute("SELECT pg_try_advisory_lock(%s)", [_LOCK]).fetchone()
        if row is None or not row[0]:
            candidate.close()
            return False
        self._leadership = candidate
        _log.warning("this beat leads")
        # What the last leader did meanwhile is in the database.
        self.sync()
        self._schedule = None
        self._initial_read = True
        return True


def _connect() -> psycopg.Connection[tuple[Any, ...]]:
    """A connection like Django's, TLS and all, of which both ends notice soon when the other machine is gone."""
    params = {**connection.get_connection_params(), "tcp_user_timeout": 10_000, "application_name": "agentmon beat"}
    del params["cursor_factory"], params["context"]  # Django's own
    own = psycopg.connect(**params, autocommit=True)
    # Else Postgres would keep the lock of a machine that vanished for two hours.
    for name, value in {"idle": "5", "interval": "5", "count": "3"}.items():
        own.execute("SELECT set_config(%s, %s, false)", [f"tcp_keepalives_{name}", value])
    return own
