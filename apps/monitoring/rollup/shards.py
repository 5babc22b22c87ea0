"""Seal what is due and roll it up: the work of one tick on one shard."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import minute_of, to_datetime
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import ShardProgress
from apps.monitoring.rollup import batches, locks

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did. ``busy``: another process is at this shard, or a replay holds the sealing."""

    shard: int
    batches: int = 0
    busy: bool = False


def due_until(now: float) -> int:
    """The first minute that is not due yet at ``now`` (epoch seconds): it ended less than the grace ago."""
    return minute_of(now - conf().grace_seconds)


def roll_up(shard: int, now: float, store: HotStore) -> Tick:
    """Seal every due minute of a shard, put each into the snapshots, oldest first, then move the watermark.

    A crash anywhere is repaired by the next tick: what is sealed is found again, what is committed is known by its
    id, what is committed but not dropped is dropped. Raises RedisError or DatabaseError; the watermark then stays.
    """
    with locks.shard(shard) as mine:
        if not mine:
            return Tick(shard, busy=True)
        until = due_until(now)
        committed = 0
        for batch in store.seal(shard, until):
            committed += batches.commit(shard, batch, store.chunks(shard, batch))
            store.drop(shard, batch)
        batches.advance(shard, until)
        return Tick(shard, committed)


def roll_up_all(now: float, store: HotStore) -> list[Tick]:
    """One tick on every shard, in this process."""
    return [roll_up(shard, now, store) for shard in range(store.shards)]


def retreat(until: int) -> None:
    """Declare that minutes from ``until`` on are not complete: a replay is about to fill them."""
    ShardProgress.objects.filter(complete_until__gt=to_datetime(until)).update(complete_until=to_datetime(until))
