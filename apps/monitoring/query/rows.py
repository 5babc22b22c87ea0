"""Rows of the snapshots over a range, each stretch from one resolution, merged by Postgres as far as it can."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psycopg
from django.db import connection

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Stretch

_STRETCH: Final = (
    "SELECT series_id, ts, count, sum, min, max, data FROM monitoring_metricsnapshot "
    "WHERE resolution = %s AND series_id = ANY(%s) AND ts >= %s AND ts < %s"
)
_MERGED: Final = (
    "sum(count), sum(sum), min(min), max(max), array_agg(data) FILTER (WHERE data IS NOT NULL)"  # integers: exact in any order
)


@dataclass(frozen=True, slots=True)
class Merged:
    """What a series did in a step of the range (the whole range without steps). ``datas`` are to be merged."""

    series: int
    start: int
    count: int
    sum: int | None
    min: int | None
    max: int | None
    datas: Sequence[bytes]


def read(series: Sequence[int], stretches: Sequence[Stretch], step: int | None = None) -> Iterator[Merged]:
    """What each series did in each step of ``step`` minutes since the epoch; only steps that have rows.

    Every stretch has to lie within steps that its resolution divides. Call it in the transaction that chose them.
    """
    if not series or not stretches:
        return
    rows = " UNION ALL ".join([_STRETCH] * len(stretches))
    given: list[Any] = []
    for stretch in stretches:
        given += [stretch.resolution.value, list(series), to_datetime(stretch.start), to_datetime(stretch.end)]
    start = "0" if step is None else f"(extract(epoch FROM ts)::bigint / {60 * step:d} * {step:d})"
    # Bytes as bytes, not as hexadecimal text, which the cursors of Django would ask for.
    with psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(
            f"SELECT series_id, {start} AS start, {_MERGED} FROM ({rows}) AS rows GROUP BY 1, 2",  # noqa: S608 - numbers
            given,
            binary=True,
        )
        for number, begin, count, total, low, high, datas in cursor:
            yield Merged(number, begin, int(count), None if total is None else int(total), low, high, datas or ())
