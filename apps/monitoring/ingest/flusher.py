"""From the buffer to the hot store: numbered, in order, sent again until it is answered."""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import Counter
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Final

import redis

from apps.monitoring import logs
from apps.monitoring.catalogue import BY_CODE, METRICS
from apps.monitoring.core import series
from apps.monitoring.core.clock import minute_of
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.buffer import Buffer, Slots
from apps.monitoring.ingest.hotstore import HotStore, Record, shard_of
from apps.monitoring.ingest.labels import LabelCaps, overflowed
from apps.monitoring.ingest.slot import Slot

_log = logging.getLogger(__name__)

_CHUNK: Final = 4_000
"""Fields in one script call: about 5 ms of the server's time."""

_MAX_RENAMED: Final = 20_000

_TEMPORARY: Final = ("BUSY", "MISCONF", "NOREPLICAS", "LOADING", "Script attempted to execute a write command while")
"""Errors of the server that pass or that ops mend and for which the client library has no class of its own.

The last: a cluster that is down and lets readers in refuses the first write of a script."""


def _is_final(error: object) -> bool:
    """Whether sending the same again is useless.

    The library gives every known error a class (out of memory, read-only replica, no such script, wrong password,
    cluster moving) and takes the code off its text; all of those pass, and what was refused is kept. What stays a plain
    ResponseError is the script's own failure: a key of another type, a syntax it does not know.
    """
    return type(error) is redis.ResponseError and not str(error).startswith(_TEMPORARY)


@dataclass(slots=True)
class _Shard:
    """What this process owes one shard: the numbered flush under way, and what has come since."""

    sequence: int = 0
    in_flight: list[Record] = field(default_factory=list)
    waiting: Slots = field(default_factory=dict)


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
        self._global_caps = LabelCaps(buffer.caps.cap)
        self._renamed: dict[str, str] = {}
        self.counters: Counter[str] = Counter()
        self._told: Counter[str] = Counter()

    def flush(self) -> bool:
        """Send everything; True when the hot store has confirmed all of it. Never raises."""
        with self._lock:
            self._collect()
            try:
                self._send()
            except (redis.RedisError, OSError) as error:
                self._note_away(error)
                self._shed()
                return False
            self._note_back()
            return not any(shard.in_flight or shard.waiting for shard in self._shards.values())

    def _collect(self) -> None:
        """Move the buffer's slots to their shards, and add each shard's part of all tenants together."""
        for (minute, tenant), slot in self._buffer.take().items():
            waiting = self._shards.setdefault(shard_of(tenant, self._store.shards), _Shard()).waiting
            together = waiting.get((minute, GLOBAL))
            if together is None:
                together = waiting[minute, GLOBAL] = Slot()
            self._merge_capped(together, slot)
            known = waiting.get((minute, tenant))
            if known is None:
                waiting[minute, tenant] = slot  # the buffer has let go of it
            else:
                known.merge(slot)
        self._collect_own()

    def _collect_own(self) -> None:
        """What befell the monitoring in this process is a metric of its own, of all tenants together."""
        now = self.counters + Counter({name: n for name, n in logs.counters().items() if name != "log_lines"})
        news = now - self._told
        if not news:
            return
        slot = Slot()
        for event, times in news.items():
            slot.count(series.encode(METRICS["monitor_events"], (event,)), times)
        self._told += news
        key = (minute_of(time.time()), GLOBAL)
        self._shards.setdefault(shard_of(GLOBAL, self._store.shards), _Shard()).waiting.setdefault(key, Slot()).merge(slot)

    def _merge_capped(self, into: Slot, slot: Slot) -> None:
        """Add a slot under the labels that all tenants together may have."""
        for name, times in slot.counters.items():
            into.count(self._global_series(name), times)
        for name, (times, total) in slot.amounts.items():
            into.add(self._global_series(name), total, times)
        for name, distribution in slot.distributions.items():
            into.merge_distribution(self._global_series(name), distribution)
        for name, members in slot.members.items():
            into.members.setdefault(name, set()).update(members)

    def _global_series(self, name: str) -> str:
        known = self._renamed.get(name)
        if known is not None:
            return known
        code, *labels = name.split("\x1f")
        renamed = name
        if labels and self._global_caps.admit(GLOBAL, code, tuple(labels)) is None:
            renamed = "\x1f".join((code, *overflowed(tuple(labels))))
        if len(self._renamed) < _MAX_RENAMED:
            self._renamed[name] = renamed
        return renamed

    def _send(self) -> None:
        """Send all that waits. A shard that fails keeps what it has and holds up no other; raises the first failure."""
        failures: dict[int, Exception] = {}
        while flushes := self._next_flushes(failures):
            for number, answer in self._store.apply(self._writer, flushes).items():
                if _is_final(answer):
                    self._refuse(answer)
                elif isinstance(answer, Exception):
                    failures[number] = answer
                    continue
                elif not answer:
                    self.counters["flushes_repeated"] += 1
                self._shards[number].in_flight = []
        for failure in failures.values():
            raise redis.ResponseError(str(failure)) from failure

    def _next_flushes(self, failures: Container[int]) -> dict[int, tuple[int, list[Record]]]:
        """A numbered flush for every shard that has something and has not failed."""
        flushes: dict[int, tuple[int, list[Record]]] = {}
        for number, shard in self._shards.items():
            if number in failures:
                continue
            if not shard.in_flight:
                shard.in_flight = _chunk(shard.waiting)
                shard.sequence += bool(shard.in_flight)
            if shard.in_flight:
                flushes[number] = (shard.sequence, shard.in_flight)
        return flushes

    def _refuse(self, error: object) -> None:
        self.counters["flushes_refused"] += 1
        _log.error("the hot store refuses a flush for good, its records are lost: %s", error)

    def _shed(self) -> None:
        """Keep memory bounded while the hot store is away: the oldest minutes go, and are counted."""
        held = sum(len(slot) for shard in self._shards.values() for slot in shard.waiting.values())
        if held <= self._max_pending:
            return
        minutes = sorted({minute for shard in self._shards.values() for minute, _ in shard.waiting})
        for minute in minutes[:-1]:
            for shard in self._shards.values():
                for key in [key for key in shard.waiting if key[0] == minute]:
                    held -= len(shard.waiting.pop(key))
            self.counters["minutes_dropped"] += 1
            if held <= self._max_pending:
                break

    def _note_away(self, error: Exception) -> None:
        self.counters["flushes_failed"] += 1
        if self._away_since is None:
            self._away_since = time.monotonic()
            _log.warning("the hot store does not take flushes; they are kept in memory and sent again: %s", error)

    def _note_back(self) -> None:
        if self._away_since is not None:
            _log.warning("the hot store is back after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None


def _chunk(waiting: Slots) -> list[Record]:
    """Take records worth about one script call, oldest minute first."""
    records: list[Record] = []
    size = 0
    for minute, tenant in sorted(waiting):
        slot = waiting.pop((minute, tenant))
        records.append((minute, tenant, slot))
        size += len(slot)
        if size >= _CHUNK:
            break
    return records


assert all(":" not in code and "\x1f" not in code for code in BY_CODE)  # noqa: S101 - the field syntax depends on it
