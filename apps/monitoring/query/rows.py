"""Rows of the snapshots over a range, each stretch from one resolution, merged by Postgres as far as it can."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Stretch
from apps.monitoring.query.binary import fetch

_STRETCH: Final = (
    "SELECT series_id, ts, count, sum, min, max, data FROM monitoring_metricsnapshot "
    "WHERE resolution = %s AND series_id = ANY(%s) AND ts >= %s AND ts < %s"
)
_NUMBERS: Final = "series_id, {start} AS start, sum(count), sum(sum), min(min), max(max)"  # integers: exact in any order
_DATAS: Final = "series_id, {start} AS start, data"


@dataclass(frozen=True, slots=True)
class Merged:
    """What a series did in a step of the range. ``datas`` are to be merged."""

    series: int
    start: int
    count: int
    sum: int | None
    min: int | None
    max: int | None
    datas: Sequence[bytes]


def read(series: Sequence[int], with_data: Sequence[int], stretches: Sequence[Stretch], step: int) -> list[Merged]:
    """What each series did in each step of ``step`` minutes since the epoch; only steps that have rows.

    ``with_data`` are those of the series that have bytes. Every stretch has to lie within steps that its resolution
    divides. Call it in the transaction that chose the stretches.
    """
    if not series or not stretches:
        return []
    start = f"(extract(epoch FROM ts)::bigint / {60 * step:d} * {step:d})"
    datas: dict[tuple[int, int], list[bytes]] = {}
    with connection.cursor() as cursor:
        # It is over in milliseconds: nothing to start workers or a compiler for, and it is not to be written to disk.
        cursor.execute("SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'")
    # Bytes come one by one: to collect them in Postgres takes longer than to send them.
    for number, begin, data in _select(_DATAS.format(start=start), "WHERE data IS NOT NULL", with_data, stretches):
        datas.setdefault((number, begin), []).append(data)
    return [
        Merged(number, begin, int(count), None if total is None else int(total), low, high, datas.get((number, begin), ()))
        for number, begin, count, total, low, high in _select(_NUMBERS.format(start=start), "GROUP BY 1, 2", series, stretches)
    ]


def together(parts: Sequence[Merged]) -> list[Merged]:
    """Rows of several stretches as one of each series."""
    found: dict[int, list[Merged]] = {}
    for part in parts:
        found.setdefault(part.series, []).append(part)
    return [own[0] if len(own) == 1 else _one(own) for own in found.values()]


def _one(own: Sequence[Merged]) -> Merged:
    sums = [one.sum for one in own if one.sum is not None]
    lows = [one.min for one in own if one.min is not None]
    highs = [one.max for one in own if one.max is not None]
    return Merged(
        own[0].series,
        min(one.start for one in own),
        sum(one.count for one in own),
        sum(sums) if sums else None,
        min(lows, default=None),
        max(highs, default=None),
        [data for one in own for data in one.datas],
    )


def _select(what: str, then: str, series: Sequence[int], stretches: Sequence[Stretch]) -> list[tuple[Any, ...]]:
    if not series:
        return []
    given: list[Any] = []
    for stretch in stretches:
        given += [stretch.resolution.value, list(series), to_datetime(stretch.start), to_datetime(stretch.end)]
    rows = " UNION ALL ".join([_STRETCH] * len(stretches))
    return fetch(f"SELECT {what} FROM ({rows}) AS rows {then}", given)  # noqa: S608 - constants
