"""From the buffer to the hot store: numbered, in order, sent again until it is answered."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Final

import redis

from apps.monitoring import logs
from apps.monitoring.catalogue import BY_CODE, METRICS
from apps.monitoring.core import series
from apps.monitoring.core.clock import minute_of
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.failure import is_final, pause, reason
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.ingest.slot import Slot
from apps.monitoring.ingest.together import Together
from apps.monitoring.ingest.waiting import Record, Waiting

_log = logging.getLogger(__name__)

_CHUNK: Final = 4_000
"""Fields of tenants in one script call, which adds what they come to all together: about 5 ms of the server's time."""

FAILED: Final = "flushes_failed_"
"""A failed flush is counted under this and the reason."""


@dataclass(slots=True)
class _Shard:
    """What this process owes one shard: the numbered flush under way, and what has come since."""

    sequence: int = 0
    in_flight: list[Record] = field(default_factory=list)
    waiting: Waiting = field(default_factory=Waiting)


class Flusher:
    """Sends what the buffer holds.

    One flush of a shard is under way at a time, and keeps its number until the server has answered, so a lost answer
    never counts twice and never loses what came after.
    """

    def __init__(self, buffer: Buffer, store: HotStore, max_pending: int) -> None:
        self._buffer = buffer
        self._store = store
        self._max_pending = max_pending
        self._lock = threading.Lock()
        self._writer = uuid.uuid4().hex
        self._shards: dict[int, _Shard] = {}
        self._away_since: float | None = None
        self._failures = 0
        self.together = Together(buffer.caps.cap)
        self.counters: Counter[str] = Counter()
        self._told = _of_the_log()  # what was lost before is not this one's to tell

    def flush(self) -> bool:
        """Send everything; True when the hot store has confirmed all of it. Never raises."""
        with self._lock:
            self._collect()
            failure = self._send()
            if failure is not None:
                self._note_away(failure)
                self._shed()
                return False
            self._note_back()
            return not any(shard.in_flight or shard.waiting for shard in self._shards.values())

    def pause(self) -> float:
        """Seconds to leave the hot store alone after a failure; 0 when the last flush was taken."""
        return pause(self._failures)

    def pending_bytes(self) -> int:
        """The memory of what waits for the hot store, as far as one can reckon."""
        return sum(shard.waiting.size() for shard in self._shards.values())

    def _collect(self) -> None:
        """Move the buffer's slots to their shards."""
        for (minute, tenant), slot in self._buffer.take().items():
            self._shard(shard_of(tenant, self._store.shards)).waiting.merge(minute, tenant, slot)
        self._collect_own()

    def _shard(self, number: int) -> _Shard:
        return self._shards.setdefault(number, _Shard())

    def _collect_own(self) -> None:
        """What befell the monitoring in this process is a metric of its own, of all tenants together."""
        news = self.counters + _of_the_log() - self._told
        if not news:
            return
        slot = Slot()
        for event, times in news.items():
            slot.count(series.encode(METRICS["monitor_events"], (event,)), times)
        self._told += news
        self._shard(shard_of(GLOBAL, self._store.shards)).waiting.merge(minute_of(time.time()), GLOBAL, slot)

    def _send(self) -> Exception | None:
        """Send all that waits. A shard that fails keeps what it has and holds up no other; returns the first failure."""
        failures: dict[int, Exception] = {}
        while flushes := self._next_flushes(failures):
            for number, answer in self._applied(flushes).items():
                if is_final(answer):
                    self._refuse(answer)
                elif isinstance(answer, Exception):
                    failures[number] = answer
                    continue
                elif not answer:
                    self.counters["flushes_repeated"] += 1
                self._shards[number].in_flight = []
        return next(iter(failures.values()), None)

    def _applied(self, flushes: Mapping[int, tuple[int, list[Record]]]) -> Mapping[int, object]:
        try:
            return self._store.apply(self._writer, flushes)
        except (redis.RedisError, OSError) as error:
            return dict.fromkeys(flushes, error)

    def _next_flushes(self, failures: Container[int]) -> dict[int, tuple[int, list[Record]]]:
        """A numbered flush for every shard that has something and has not failed."""
        flushes: dict[int, tuple[int, list[Record]]] = {}
        for number, shard in self._shards.items():
            if number in failures:
                continue
            if not shard.in_flight:
                shard.in_flight = self.together.added(shard.waiting.take(_CHUNK))
                shard.sequence += bool(shard.in_flight)
            if shard.in_flight:
                flushes[number] = (shard.sequence, shard.in_flight)
        return flushes

    def _refuse(self, error: object) -> None:
        self.counters["flushes_refused"] += 1
        _log.error("the hot store refuses a flush for good, its records are lost: %s", error)

    def _shed(self) -> None:
        """Keep memory bounded while the hot store is away: the oldest minutes go, and are counted."""
        everyone = [shard.waiting for shard in self._shards.values()]
        for waiting in everyone:
            waiting.pack()
        while self.pending_bytes() > self._max_pending:
            minutes = {minute for waiting in everyone if (minute := waiting.oldest()) is not None}
            oldest = min(minutes)
            if all(waiting.is_last(oldest) for waiting in everyone):
                return
            for waiting in everyone:
                waiting.drop(oldest)
            self.counters["minutes_dropped"] += 1

    def _note_away(self, error: Exception) -> None:
        why = reason(error)
        self.counters[f"{FAILED}{why}"] += 1
        self._failures += 1
        if self._away_since is None:
            self._away_since = time.monotonic()
            _log.warning("the hot store does not take flushes (%s); they are kept in memory and sent again: %s", why, error)

    def _note_back(self) -> None:
        self._failures = 0
        if self._away_since is not None:
            _log.warning("the hot store is back after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None


def _of_the_log() -> Counter[str]:
    """What befell the log in this process."""
    return Counter({name: times for name, times in logs.counters().items() if name != "log_lines"})


assert all(":" not in code and "\x1f" not in code for code in BY_CODE)  # noqa: S101 - the field syntax depends on it
