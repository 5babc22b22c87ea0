"""Puts a batch into the hot store at once: everything is confirmed when it returns, and nothing counts twice.

A batch is of interactions or of spans. It is cut into chunks of so many of them; chunk n is flush n of its writer in every
shard that it has something of. With a key the writer's name is made of it, so whoever sends the batch again, to whichever
process, is the same writer, and the hot store drops what it has already.
"""

from __future__ import annotations

import hashlib
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import redis

from apps.monitoring import logs
from apps.monitoring.core.event import Event
from apps.monitoring.ingest.failure import is_final
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.ingest.recorder import note, recorder
from apps.monitoring.ingest.waiting import Record
from apps.monitoring.interactions.batch import Batch, Entry
from apps.monitoring.interactions.collector import Collector
from apps.monitoring.interactions.row import Broken, BrokenError
from apps.monitoring.interactions.sender import Sender

_log = logging.getLogger(__name__)

CHUNK: Final = 200
"""Lines, or spans. It must not depend on what a process knows, such as its label caps: what is sent again is cut alike."""
REMEMBER_SECONDS: Final = 86_400
"""How long a key is known that its sender chose."""
_WRITER_LONGER_SECONDS: Final = 3_600
"""A batch that comes while its key is forgotten must not find a part of itself forgotten, too."""
_REMEMBER_KEYLESS_SECONDS: Final = 600
"""Of a batch without a key: only this process sends it again, when a connection breaks."""
_LOGGED_AT_ONCE: Final = 1_000
_LOG_SECONDS: Final = 0.2
"""How long the rest of a large chunk waits for the log; what it has no room for then is dropped, and counted."""
_REFUSED: Final = "refused"


class NothingToCountError(Exception):
    """Nothing that was sent counts: every line is broken, or no span is one of an agent."""

    def __init__(self, rejected: list[Broken]) -> None:
        super().__init__()
        self.rejected = rejected


class OtherBatchError(Exception):
    """The key came with another batch before."""


class UnconfirmedError(Exception):
    """The hot store did not confirm all of it: to be sent again with its key."""


class RefusedError(Exception):
    """The hot store refuses a part of it for good."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch; ``repeated`` when the hot store had all of it before."""

    accepted: int
    rejected: list[Broken]
    repeated: bool


@dataclass(frozen=True, slots=True)
class _Run:
    """What a batch is sent under: at the second time the same as at the first."""

    writer: str
    seconds: int
    """How long the writer is remembered."""
    now: float
    """What times are judged by, and when that was which does not say it."""
    name: str = ""
    """Of its key in the hot store; "" without a key."""
    known: str = ""
    """What the hot store remembers under the name."""
    key_seconds: int = 0
    """How long it does."""
    refused: bool = False
    """Whether a part of it was refused for good before."""


@dataclass(frozen=True, slots=True)
class _Told:
    """What counts: in which chunk, for whom and when."""

    chunk: int
    entry: Entry
    tenant: str
    when: float


def ingest(batch: Batch, sender: Sender, key: str | None, now: float, remember_seconds: int = REMEMBER_SECONDS) -> Outcome:
    """Count and log what can be counted of a batch; ``now`` in epoch seconds, ``remember_seconds`` how long its key is known.

    Raises NothingToCountError, OtherBatchError, UnconfirmedError and RefusedError.
    """
    store = HotStore.from_conf()
    told, rejected = _judged(batch, sender, now)
    name = None if key is None else _digest(sender.scope, key)
    # A batch of which nothing counts does not take its key. It may have had it since something did: that was judged then.
    run = _begun(store, batch, name, now, remember_seconds, new=bool(told)) if batch.lines else None
    if run is not None and run.now != now:
        told, rejected = _judged(batch, sender, run.now)
    if run is None or not told:
        if rejected:
            note(batch.counted_as, len(rejected))
        raise NothingToCountError(rejected)
    repeated = not _apply(store, run, told)
    if rejected and not repeated:
        note(batch.counted_as, len(rejected))
    return Outcome(len(told), rejected, repeated)


def _judged(batch: Batch, sender: Sender, now: float) -> tuple[list[_Told], list[Broken]]:
    """What counts and what does not."""
    told: list[_Told] = []
    rejected: list[Broken] = []
    for line in batch.lines:
        if isinstance(line, Broken):
            rejected.append(line)
            continue
        try:
            told.append(_Told(1 + (line.number - 1) // CHUNK, line, sender.tenant_of(line.tenant), line.ended(now)))
        except BrokenError as error:
            rejected.append(Broken(line.number, str(error)))
    return told, rejected


def _begun(store: HotStore, batch: Batch, name: str | None, now: float, seconds: int, *, new: bool) -> _Run | None:
    """A writer for the batch: the one that it had before, if its key is known, or a ``new`` one. Raises as `ingest` does."""
    if name is None:
        return _Run(uuid.uuid4().hex, _REMEMBER_KEYLESS_SECONDS, now) if new else None
    try:
        known = store.remember(name, f"{batch.digest} {now!r}", seconds) if new else store.remembered(name)
    except (redis.RedisError, OSError) as error:
        raise _failed(error) from error
    if known is None:
        return None
    digest, began, *more = known.split(" ")
    if digest != batch.digest:
        raise OtherBatchError
    writer, refused = _digest(name, digest), _REFUSED in more
    return _Run(writer, seconds + _WRITER_LONGER_SECONDS, float(began), name, known, seconds, refused)


def _apply(store: HotStore, run: _Run, told: list[_Told]) -> bool:
    """Send what counts, chunk by chunk; whether any of it was new. Raises UnconfirmedError and RefusedError."""
    new, refused = False, run.refused
    for number, chunk in groupby(told, lambda one: one.chunk):
        events = _events(chunk, store.shards)
        flushes = {shard: (number, recorder().apart(own)) for shard, own in events.items()}
        failure: Exception | None = None
        for shard, answer in _answers(store, run, flushes).items():
            if answer is True:
                new = True
                _log_all(events[shard])
            elif is_final(answer):
                refused = True
                _note_refusal(store, run, answer)
            elif isinstance(answer, Exception):
                failure = answer
        if failure is not None:
            # Not the next chunk: a shard that has it takes this one for repeated.
            raise _failed(failure) from failure
    if refused:
        raise RefusedError
    return new


def _log_all(events: Sequence[Event]) -> None:
    """Their lines are made here, some at a time: a chunk may be more than what may wait to be written."""
    for start in range(0, len(events), _LOGGED_AT_ONCE):
        if start:
            logs.drain(_LOG_SECONDS)
        logs.emit_many(events[start : start + _LOGGED_AT_ONCE], render=True)


def _events(chunk: Iterable[_Told], shards: int) -> dict[int, list[Event]]:
    """Everything that a chunk records, by shard."""
    found: dict[int, list[Event]] = {}
    for one in chunk:
        collector = Collector(one.tenant, one.when, one.entry.belongs)
        one.entry.play(collector, one.when)
        found.setdefault(shard_of(one.tenant, shards), []).extend(collector.events)
    return found


def _answers(store: HotStore, run: _Run, flushes: Mapping[int, tuple[int, list[Record]]]) -> Mapping[int, object]:
    try:
        return store.apply(run.writer, flushes, run.seconds)
    except (redis.RedisError, OSError) as error:
        return dict.fromkeys(flushes, error)


def _failed(error: Exception) -> UnconfirmedError:
    note("batches_unconfirmed")
    return UnconfirmedError(f"the hot store does not take a batch that came over HTTP: {error}")


def _note_refusal(store: HotStore, run: _Run, error: object) -> None:
    """Who sends the batch again is told so again: the hot store has noted the flush that it refused, and calls it repeated."""
    note("batches_refused")
    _log.error("the hot store refuses a part of a batch that came over HTTP for good: %s", error)
    if run.name:
        try:
            store.remember(run.name, f"{run.known} {_REFUSED}", run.key_seconds, instead_of=run.known)
        except (redis.RedisError, OSError):
            _log.exception("that a batch was refused cannot be remembered: sent again it will be called repeated")


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x00".join(parts).encode(), digest_size=16).hexdigest()
