"""Recordings: JSON Lines, optionally gzipped, one interaction a line (docs/recordings.md)."""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import orjson

_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 20
_UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What reading raises: of a gzip that was cut off an EOFError, of one that is damaged a zlib.error."""
_LISTS: Final = ("llm_calls", "knowledge_searches", "errors")


class RecordingError(Exception):
    """The recording as a whole cannot be read."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A line that is no interaction."""

    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Line:
    """One interaction. ``ended_ms`` is when it counts, in ms from the start of its run."""

    number: int
    tenant: str
    ended_ms: float
    row: Mapping[str, Any]


def read(path: Path) -> Iterator[Line | Broken]:
    """Every line that is not empty, in order. Raises RecordingError when the file cannot be read."""
    try:
        with _open(path) as file:
            for number, text in enumerate(file, start=1):
                if text.strip():
                    yield _line(number, text)
    except _UNREADABLE as error:
        msg = f"the recording {path} cannot be read: {error}"
        raise RecordingError(msg) from error


def count(path: Path) -> int | None:
    """How many lines there are, for a progress bar; None when the file cannot be read to its end, which `read` tells."""
    try:
        with _open(path) as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(_CHUNK), b""))
    except _UNREADABLE:
        return None


def _open(path: Path) -> IO[bytes]:
    with path.open("rb") as file:
        zipped = file.read(2) == _GZIP
    return gzip.open(path, "rb") if zipped else path.open("rb")  # type: ignore[return-value]


def _line(number: int, text: bytes) -> Line | Broken:
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return Broken(number, f"no JSON: {error}")
    if not isinstance(row, dict):
        return Broken(number, "no JSON object")
    reason = _problem(row)
    if reason is not None:
        return Broken(number, reason)
    return Line(number, row["tenant"], row["offset_ms"] + (row.get("processing_time_ms") or 0.0), row)


def _problem(row: Mapping[str, Any]) -> str | None:
    if not isinstance(row.get("tenant"), str) or not row["tenant"]:
        return "no tenant"
    if not _number(row.get("offset_ms")):
        return "no offset_ms"
    if row.get("processing_time_ms") is not None and not _number(row["processing_time_ms"]):
        return "processing_time_ms is no number"
    wrong = [name for name in _LISTS if not isinstance(row.get(name) or [], list)]
    return f"{wrong[0]} is no list" if wrong else None


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
