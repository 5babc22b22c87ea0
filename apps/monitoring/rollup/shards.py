"""Seal what is due and roll it up: the work of one tick on one shard."""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from django.db import DatabaseError, DataError, IntegrityError

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import minute_of, to_datetime
from apps.monitoring.ingest.hotstore import Batch, HotStore
from apps.monitoring.models import ShardProgress
from apps.monitoring.rollup import batches, locks

_log = logging.getLogger(__name__)

_TICK_SECONDS: Final = 5.0
"""How long one tick works off what is behind, before the next one begins with the minute that has become due meanwhile."""
_LIVE_MINUTES: Final = 2


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did, and how many batches it has ``left`` to the next one.

    ``busy``: another process is at this shard, or a replay holds the sealing.
    """

    shard: int
    batches: int = 0
    left: int = 0
    busy: bool = False


def due_until(now: float) -> int:
    """The first minute that is not due yet at ``now`` (epoch seconds): it ended less than the grace ago."""
    return minute_of(now - conf().grace_seconds)


def roll_up(shard: int, now: float, store: HotStore, *, complete: bool = True) -> Tick:
    """Seal every due minute of a shard, put the last ones and then the others, oldest first, into the snapshots.

    Then move the watermark, unless the minutes are not ``complete``: who holds the sealing may fill them further. After
    an outage of hours one tick does not do everything, so that the last minutes never wait for long. A crash anywhere is
    repaired by the next tick: what is sealed is found again, what is committed is known by its id, what is committed but not
    dropped is dropped. Raises RedisError or DatabaseError; the watermark then stays. A batch that the database refuses keeps
    the watermark before its minute, and no other batch waiting; what it was refused with is raised in the end.
    """
    with locks.shard(shard) as mine:
        if not mine:
            return Tick(shard, busy=True)
        until = due_until(now)
        # A server that was started anew seals the minute under way, too; its other part is yet to come.
        sealed = [batch for batch in store.seal(shard, until) if batch.minute < until]
        live = [batch for batch in sealed if batch.minute >= until - _LIVE_MINUTES]
        behind = deque(sealed[: len(sealed) - len(live)])
        work = _Work(shard, store)
        for batch in live:
            work.put(batch)
        deadline = time.monotonic() + _TICK_SECONDS
        while behind:
            work.put(behind.popleft())
            if time.monotonic() >= deadline:
                break
        if complete:
            batches.advance(shard, until, left=[batch.minute for batch in (*behind, *work.refused)])
        for error in work.refused.values():
            raise error
        return Tick(shard, work.committed, len(behind))


class _Work:
    """Batches of a shard on their way into the snapshots."""

    def __init__(self, shard: int, store: HotStore) -> None:
        self._shard, self._store = shard, store
        self.committed = 0
        """Those that were not there yet."""
        self.refused: dict[Batch, DatabaseError] = {}

    def put(self, batch: Batch) -> None:
        """Commit it, and drop it from the hot store."""
        try:
            new = self._commit(batch)
        except (DataError, IntegrityError) as error:
            _log.exception("batch %s of %s is refused", batch.id, to_datetime(batch.minute))
            self.refused[batch] = error
            return
        self._store.drop(self._shard, batch)
        self.committed += new

    def _commit(self, batch: Batch) -> bool:
        try:
            return batches.commit(self._shard, batch, self._store.chunks(self._shard, batch))
        except IntegrityError:
            # Rows of the minute are there without a proof: it was retired too early, by a clock that was wrong.
            return batches.commit(self._shard, batch, self._store.chunks(self._shard, batch), among_rows=True)


def roll_up_all(now: float, store: HotStore) -> list[Tick]:
    """Every shard, in this process, until nothing that was due at ``now`` is left."""
    return [_whole(shard, now, store) for shard in range(store.shards)]


def _whole(shard: int, now: float, store: HotStore) -> Tick:
    tick = roll_up(shard, now, store)
    while tick.left:
        more = roll_up(shard, now, store)
        tick = Tick(shard, tick.batches + more.batches, more.left, more.busy)
    return tick


def retreat(until: int) -> None:
    """Declare that minutes from ``until`` on are not complete: a replay is about to fill them."""
    ShardProgress.objects.filter(complete_until__gt=to_datetime(until)).update(complete_until=to_datetime(until))
