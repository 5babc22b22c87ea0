"""What a writer writes down, so that a kill at any moment leaves no doubt about what counts.

A file survives the kill of the process that wrote it. Every event is there before it is recorded, every flush before
it is sent, with how many events of each of its tenants and minutes are in it or in an earlier one, and every answer once it
came. So after a kill

- an event that is in no flush was never sent and does not count;
- a flush without an answer may have been applied or not: sent again under its own number, it is applied once.

A frame that a kill cut off is one that nothing was done about yet.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from apps.monitoring.ingest.waiting import Record
from tests.faults.soak.events import Event

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True)
class Flush:
    """``upto`` is how many events of a minute and tenant, in the order of their recording, have been flushed with it."""

    writer: str
    shard: int
    sequence: int
    upto: dict[tuple[int, str], int]
    records: list[Record]

    @property
    def id(self) -> tuple[str, int, int]:
        return self.writer, self.shard, self.sequence


@dataclass(frozen=True)
class Answer:
    """``error`` is empty when the flush was confirmed."""

    id: tuple[str, int, int]
    error: str


class Journal:
    """The two files of one writer: its events, and its flushes with their answers."""

    def __init__(self, folder: Path, name: str) -> None:
        self._events, self._flushes = (
            os.open(folder / f"{name}.{kind}", os.O_CREAT | os.O_APPEND | os.O_WRONLY) for kind in ("events", "flushes")
        )

    def events(self, events: list[Event]) -> None:
        """Events that are about to be recorded."""
        _append(self._events, b"".join(orjson.dumps(event) + b"\n" for event in events))

    def note(self, entry: Flush | Answer) -> None:
        """A flush that is about to be sent, or an answer."""
        frame = pickle.dumps(entry)
        _append(self._flushes, _LENGTH.pack(len(frame)) + frame)


def _append(file: int, content: bytes) -> None:
    assert os.write(file, content) == len(content)


@dataclass
class Told:
    """What one writer's journal says after its end."""

    events: list[Event]
    flushes: dict[tuple[str, int, int], Flush] = field(default_factory=dict)
    answers: dict[tuple[str, int, int], Answer] = field(default_factory=dict)

    def counted(self) -> Iterator[Event]:
        """The events that were flushed."""
        upto: Counter[tuple[int, str]] = Counter()
        for flush in self.flushes.values():
            upto |= Counter(flush.upto)
        seen: Counter[tuple[int, str]] = Counter()
        for event in self.events:
            key = int(event["timestamp"] // 60), event["tenant"]
            seen[key] += 1
            if seen[key] <= upto[key]:
                yield event


def read(folder: Path) -> list[Told]:
    """The journals of all writers of a run."""
    found = []
    for file in sorted(folder.glob("*.events")):
        lines = file.read_bytes().split(b"\n")[:-1]
        told = Told([orjson.loads(line) for line in lines])
        for entry in _frames(file.with_suffix(".flushes")):
            if isinstance(entry, Flush):
                told.flushes[entry.id] = entry
            else:
                told.answers[entry.id] = entry
        found.append(told)
    return found


def _frames(file: Path) -> Iterator[Any]:
    content = file.read_bytes() if file.exists() else b""
    at = 0
    while at + _LENGTH.size <= len(content):
        (length,) = _LENGTH.unpack_from(content, at)
        at += _LENGTH.size + length
        if at > len(content):
            return
        yield pickle.loads(content[at - length : at])  # our own, from a moment ago
