"""Stored minutes of many series: one look at the table for all of them, and one piece of bytes a series."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.frame import Integers
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query.binary import fetch

MISSING: Final = int(np.iinfo(np.int64).min)
"""Stands for a number that is not there."""
_NUMBERS: Final = ("count", "sum", "min", "max")
_ROW: Final = np.dtype([("at", ">i8"), *((name, ">i8") for name in _NUMBERS), ("length", ">i4")])
_EPOCH: Final = 946_684_800 // 60
"""The minute at which the timestamps of Postgres begin, in microseconds: the year 2000."""
_MINUTE: Final = 60_000_000

# A tuple of Python and its numbers for each row take longer than everything else: Postgres puts the rows of a series
# together as bytes. Both aggregates see the rows in the same order.
_QUERY: Final = (
    "SELECT series_id, string_agg(timestamptz_send(ts) || "  # noqa: S608 - of literals
    + " || ".join(f"int8send(coalesce({name}, {MISSING}))" for name in _NUMBERS)
    + " || int4send(coalesce(octet_length(data), 0)), ''), string_agg(data, '') FROM ("
    "SELECT series_id, ts, count, sum, min, max, CASE WHEN series_id = ANY(%s) THEN data END AS data "
    "FROM monitoring_metricsnapshot WHERE resolution = %s AND series_id = ANY(%s) AND ts >= %s AND ts < %s"
    ") AS m GROUP BY series_id"
)


@dataclass(frozen=True, slots=True)
class Stored:
    """The rows of one series, in any order; a minute may have several. ``data`` are their bytes, one after the other."""

    minutes: Integers
    counts: Integers
    sums: Integers
    minima: Integers
    maxima: Integers
    lengths: Integers
    data: bytes


def read(series: Collection[int], with_data: Collection[int], start: int, end: int) -> dict[int, Stored]:
    """The rows of the minutes ``[start, end)`` by series; without bytes but for those of ``with_data``."""
    if not series or start >= end:
        return {}
    given: list[Any] = [list(with_data), Resolution.MINUTE.value, list(series), to_datetime(start), to_datetime(end)]
    return {number: _stored(rows, data) for number, rows, data in fetch(_QUERY, given)}


def _stored(rows: bytes, data: bytes | None) -> Stored:
    read = np.frombuffer(rows, dtype=_ROW)
    counts, sums, minima, maxima, lengths = (read[name].astype(np.int64) for name in (*_NUMBERS, "length"))
    minutes = read["at"].astype(np.int64) // _MINUTE + _EPOCH
    return Stored(minutes, counts, sums, minima, maxima, lengths, data or b"")
