"""The way of what was played into the hot store and on into the snapshots: nothing piles up, and what got lost is told."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now, recorder
from apps.monitoring.rollup import shards

_UNCONFIRMED: Final = 2_000
"""Interactions that are played before the hot store has to have confirmed them: what this process has in memory."""
_NOT_ROLLED_UP: Final = 50_000
"""Interactions that are played before the snapshots have to have them: what the hot store has in memory, 100 MB at most."""
_PATIENCE_SECONDS: Final = 60.0
"""How long the hot store is waited for."""
_PAUSE_SECONDS: Final = 0.1
_LOST: Final = ("minutes_dropped", "flushes_refused")


class NotTakenError(Exception):
    """The hot store did not take what was played."""


class HoldLostError(Exception):
    """Roll-up and rules are not held any more, though the minutes of what is played are not complete."""


class Passage:
    """Waits for the hot store and for the snapshots rather than let a process or the hot store grow, or drop something.

    ``held``: asks whether this process still holds the sealing, where it does, so the minutes it rolls up are not complete.
    """

    def __init__(self, store: HotStore) -> None:
        self._store = store
        self._before = self._losses()
        self._played = 0
        self.held: Callable[[], bool] | None = None

    def played(self) -> None:
        """One more interaction is on its way. Raises NotTakenError and HoldLostError."""
        self._played += 1
        if self._played % _UNCONFIRMED == 0:
            self.confirm()
        if self._played % _NOT_ROLLED_UP == 0:
            self.confirm()
            self._roll_up()

    def confirm(self) -> None:
        """Wait until the hot store has everything. Raises NotTakenError after a minute of trying, or HoldLostError."""
        if not flush_now(_PATIENCE_SECONDS):
            msg = f"the hot store did not take every record of the first {self._played} interactions; see REDIS_URL"
            raise NotTakenError(msg)
        if self.held is not None and not self.held():
            msg = (
                f"the connection to Postgres that held roll-up and rules is gone: stopped after {self._played} interactions, "
                "which count; their last minutes may have been judged half full"
            )
            raise HoldLostError(msg)

    def lost(self) -> dict[str, int]:
        """What did not arrive although it was played, by the name of its counter."""
        return dict(self._losses() - self._before)

    def _losses(self) -> Counter[str]:
        counters = recorder().flusher.counters
        return Counter({name: counters[name] for name in _LOST})

    def _roll_up(self) -> None:
        for shard in range(self._store.shards):
            left = True
            while left:
                tick = shards.roll_up(shard, time.time(), self._store, complete=self.held is None)
                left = tick.busy or tick.left > 0
                if tick.busy:
                    time.sleep(_PAUSE_SECONDS)
