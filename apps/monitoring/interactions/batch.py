"""A batch of interactions as it was sent: its lines, and what of them is none."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson

from apps.monitoring.core.depth import DEEPEST, is_deep
from apps.monitoring.interactions import row as rows
from apps.monitoring.interactions.row import CALLS, LISTS, SEARCHES, Broken, BrokenError, Row, checked, parsed
from apps.monitoring.monitor import AgentMonitor

MOST_LINES: Final = 10_000
MOST_EVENTS: Final = 50_000
"""Interactions, calls and searches of a batch together: each is counted and logged by itself."""
MOST_BRACKETS: Final = 500_000
"""Opening ones: objects and lists take thirty times their text, and 8 MB of empty ones would be 240 MB and four seconds."""
MOST_OF_A_LINE: Final = 1_000
"""Items of each list: calls, searches, errors."""


class UnreadableError(ValueError):
    """The body as a whole is no batch; its text is the reason."""


class TooManyError(ValueError):
    """The batch is larger than is meant here; its text is the bound."""


class Entry(Protocol):
    """One thing of a batch that counts: a line that is an interaction, or a span."""

    @property
    def number(self) -> int:
        """From 1, by its place in the body, whatever is there besides: it says which chunk it is in."""

    @property
    def tenant(self) -> Any:
        """What it says of whose it is; None when it does not say."""

    @property
    def belongs(self) -> Mapping[str, object]:
        """What its log lines belong to, ``trace_id`` and ``span_id``, as far as it says."""

    def ended(self, now: float) -> float:
        """When it ended, in epoch seconds. Raises BrokenError when nothing can be counted then."""

    def play(self, monitor: AgentMonitor, when: float) -> None:
        """Record it, as the agent's own code would have."""


@dataclass(frozen=True, slots=True)
class Line:
    """One interaction, with its number from 1: of its line, or of its place in the array."""

    number: int
    row: Row

    @property
    def tenant(self) -> Any:
        """What the line says."""
        return self.row.get("tenant")

    @property
    def belongs(self) -> Mapping[str, object]:
        """A line says nothing of traces."""
        return {}

    def ended(self, now: float) -> float:
        """Its timestamp, or now. Raises BrokenError."""
        return rows.ended(self.row, now)

    def play(self, monitor: AgentMonitor, when: float) -> None:
        """Record the interaction with everything in it."""
        rows.play(self.row, monitor, when)


@dataclass(frozen=True, slots=True)
class Batch:
    """What was sent, in its order, and what tells its body from any other."""

    lines: Sequence[Entry | Broken]
    digest: str
    counted_as: str = "lines_rejected"
    """The event that what is rejected counts as."""


def of_json(content: bytes) -> Batch:
    """Of one object, or of an array of them. Raises UnreadableError and TooManyError."""
    check_brackets(content)
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UnreadableError(f"The body is no JSON: {error}") from None
    if not isinstance(value, list | dict):
        raise UnreadableError("The body is neither an object nor an array of objects.")
    rows = value if isinstance(value, list) else [value]
    return _batch(content, "json", enumerate(rows, start=1))


def of_lines(content: bytes) -> Batch:
    """Of one object a line; empty lines count in the numbers and for nothing else. Raises UnreadableError and TooManyError."""
    check_brackets(content)
    texts = enumerate(io.BytesIO(content), start=1)
    return _batch(content, "lines", ((number, text) for number, text in texts if text.strip()))


def check_brackets(content: bytes) -> None:
    """Raises TooManyError for a body of JSON that would take too much memory."""
    if content.count(b"{") + content.count(b"[") > MOST_BRACKETS:
        raise TooManyError(f"The batch has more than {MOST_BRACKETS:,} objects and lists.")


def _batch(content: bytes, kind: str, found: Iterator[tuple[int, Any]]) -> Batch:
    lines: list[Line | Broken] = []
    events = 0
    for number, value in found:
        if len(lines) == MOST_LINES:
            raise TooManyError(f"The batch has more than {MOST_LINES:,} lines.")
        line = _line(number, value)
        lines.append(line)
        if isinstance(line, Line):
            events += 1 + len(line.row.get(CALLS) or ()) + len(line.row.get(SEARCHES) or ())
            if events > MOST_EVENTS:
                raise TooManyError(f"The batch has more than {MOST_EVENTS:,} interactions, calls and searches together.")
    if not lines:
        raise UnreadableError("The batch has no line.")
    return Batch(lines, hashlib.blake2b(content, digest_size=16, person=kind.encode()).hexdigest())


def _line(number: int, value: Any) -> Line | Broken:
    """``value`` is the text of a line, or the value that JSON had in its place."""
    try:
        row = parsed(value) if isinstance(value, bytes) else checked(value)
        _bounded(row)
    except BrokenError as error:
        return Broken(number, str(error))
    return Line(number, row)


def _bounded(row: Row) -> None:
    for name in LISTS:
        if len(row.get(name) or ()) > MOST_OF_A_LINE:
            raise BrokenError(f"{name} has more than {MOST_OF_A_LINE:,} items")
    if is_deep(row):
        raise BrokenError(f"nested deeper than {DEEPEST} levels")
