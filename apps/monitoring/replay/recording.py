"""Recordings: JSON Lines, optionally gzipped, one interaction a line (docs/recordings.md)."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from apps.monitoring.interactions.row import Broken, BrokenError, Row, is_number, parsed

_GZIP: Final = b"\x1f\x8b"
_CHUNK: Final = 1 << 20
_UNREADABLE: Final = (OSError, EOFError, zlib.error)
"""What reading raises: of a gzip that was cut off an EOFError, of one that is damaged a zlib.error."""


class RecordingError(Exception):
    """The recording as a whole cannot be read."""


@dataclass(frozen=True, slots=True)
class Line:
    """One interaction. ``ended_ms`` is when it counts, in ms from the start of its run."""

    number: int
    tenant: str
    ended_ms: float
    row: Row


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
        row = parsed(text)
        tenant, offset = _tenant(row), _offset(row)
    except BrokenError as error:
        return Broken(number, str(error))
    return Line(number, tenant, offset + (row.get("processing_time_ms") or 0.0), row)


def _tenant(row: Row) -> str:
    tenant = row.get("tenant")
    if not isinstance(tenant, str) or not tenant:
        raise BrokenError("no tenant")
    return tenant


def _offset(row: Row) -> float:
    offset = row.get("offset_ms")
    if not is_number(offset):
        raise BrokenError("no offset_ms")
    return offset


__all__ = ["Broken", "Line", "RecordingError", "count", "read"]
