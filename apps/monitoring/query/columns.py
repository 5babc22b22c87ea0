"""Some metrics of many tenants over one stretch of time: merged here from slices, or by Postgres when it is an hour or more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from django.db import connection

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.frame import Floats, Integers, Mask
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query import slices
from apps.monitoring.query.binary import fetch
from apps.monitoring.query.choice import Choice
from apps.monitoring.query.minutes import MISSING
from apps.monitoring.query.slices import Slice, roll
from apps.monitoring.rollup import periods

_ROWS: Final = (
    # One literal resolution, so that only its partitions are planned for.
    "SELECT m.series_id, m.count, m.sum, m.min, m.max, m.data "
    "FROM monitoring_series s JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
    "WHERE {condition} AND m.resolution = {resolution:d} AND m.ts >= %(start{number})s AND m.ts < %(end{number})s"
)
# Postgres groups by a number: by the texts of tenant and metric it takes twice as long. Sums are exact up to the end.
_MERGED: Final = (
    "SELECT s.tenant, s.metric, m.* FROM (SELECT series_id, sum(count)::float8, sum(sum)::float8, min(min)::float8, "
    "max(max)::float8, array_agg(data) FILTER (WHERE data IS NOT NULL) FROM ({rows}) AS rows GROUP BY series_id) AS m "
    "JOIN monitoring_series s ON s.id = m.series_id"
)
_HALF: Final = 32
"""Bits."""

_NOTHING: Final[Mapping[np.ufunc, float]] = MappingProxyType({np.add: 0.0, np.minimum: np.inf, np.maximum: -np.inf})
"""What a merge begins with."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric: an entry for each tenant, in storage units. NaN is missing, and ``present`` is whether there is any row.

    ``data`` are encoded histograms or sketches, one after the other, ``lengths`` how many bytes each takes and ``owners``
    the tenant's place of each.
    """

    present: Mask
    counts: Floats
    sums: Floats
    minima: Floats
    maxima: Floats
    owners: Integers
    lengths: Integers
    data: bytes


@dataclass(frozen=True, slots=True)
class Columns:
    """What the tenants did, by metric. Every tenant has a row of one of the metrics at least."""

    tenants: list[str]
    by_metric: Mapping[str, Column]


def read(metrics: Collection[str], tenant: str | None, labels: Mapping[str, str], start: int, end: int) -> Columns:
    """The metrics in the minutes ``[start, end)``, all of one moment: whatever is written meanwhile, they fit together.

    ``tenant`` None is each one, ``labels`` those that a series has to have, at least.
    """
    choice = Choice.of(tenant, labels)
    with connection.cursor() as cursor:
        # It takes a moment: nothing to start a compiler for, and it is not to be written to disk.
        cursor.execute("SET LOCAL jit = off; SET LOCAL work_mem = '64MB'")
    # The minutes of a short window are looked at by many minutes, and a long one has more than can be remembered.
    return _by_minute(metrics, choice, start, end) if end - start < Resolution.HOUR else _at_once(metrics, choice, start, end)


def _at_once(metrics: Collection[str], choice: Choice, start: int, end: int) -> Columns:
    """Merged by Postgres, from minutes, and whole hours and days that are compacted."""
    stored = periods.stored(start, end)
    given, rows = choice.given(metrics), []
    for number, stretch in enumerate(stored.stretches(*stored.widen(start, end))):
        rows.append(_ROWS.format(condition=choice.condition, resolution=stretch.resolution, number=number))
        given |= {f"start{number}": to_datetime(stretch.start), f"end{number}": to_datetime(stretch.end)}
    return _columns(sorted(metrics), fetch(_MERGED.format(rows=" UNION ALL ".join(rows)), given))


def _by_minute(metrics: Collection[str], choice: Choice, start: int, end: int) -> Columns:
    """Merged here, from minutes that most of the time are remembered."""
    tenants = roll()
    found = slices.read(metrics, choice, start, end, tenants)
    names = tenants.names[:]
    seen = np.zeros(len(names), dtype=np.bool_)
    for one in chain.from_iterable(found.values()):
        seen[one.tenants] = True
    places, size = np.cumsum(seen) - 1, int(seen.sum())
    own = [names[number] for number in np.flatnonzero(seen).tolist()]
    return Columns(own, {metric: _column(parts, places, size) for metric, parts in found.items()})


def _column(parts: Sequence[Slice], places: Integers, size: int) -> Column:
    rows = [places[one.tenants] for one in parts]
    every = _laid(rows)
    present = np.zeros(size, dtype=np.bool_)
    present[every] = True
    with_data = [(own, one.lengths) for own, one in zip(rows, parts, strict=True) if one.lengths is not None]
    owners, lengths = _laid([own for own, _ in with_data]), _laid([own for _, own in with_data])
    return Column(
        present,
        np.where(present, _total(_laid([one.counts for one in parts]), every, size), np.nan),
        _known(_total, rows, [one.sums for one in parts], size),
        _known(_least, rows, [one.minima for one in parts], size),
        _known(_most, rows, [one.maxima for one in parts], size),
        owners[lengths > 0],
        lengths[lengths > 0],
        b"".join([one.data for one in parts]),
    )


def _laid(parts: Sequence[Integers]) -> Integers:
    return np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)


def _known(
    how: Callable[[Integers, Integers, int], Floats], rows: Sequence[Integers], parts: Sequence[Integers | None], size: int
) -> Floats:
    """The values of each tenant in one, of the rows that have any: NaN where none has."""
    merged = np.full(size, np.nan)
    valued = [(own, values) for own, values in zip(rows, parts, strict=True) if values is not None]
    if valued:
        every, values = _laid([own for own, _ in valued]), _laid([own for _, own in valued])
        every, values = every[values != MISSING], values[values != MISSING]
        known = np.zeros(size, dtype=np.bool_)
        known[every] = True
        merged[known] = how(values, every, size)[known]
    return merged


def _total(values: Integers, rows: Integers, size: int) -> Floats:
    """Sums, exact up to the end: a half of the bits at a time, of which a double holds the sum of two million."""
    low = np.bincount(rows, values & ((1 << _HALF) - 1), size)
    high = np.bincount(rows, values >> _HALF, size)
    return (high * 2.0**_HALF + low).astype(np.float64)


def _least(values: Integers, rows: Integers, size: int) -> Floats:
    merged = np.full(size, np.iinfo(np.int64).max)
    np.minimum.at(merged, rows, values)
    return merged.astype(np.float64)


def _most(values: Integers, rows: Integers, size: int) -> Floats:
    return -_least(-values, rows, size)


def _columns(metrics: list[str], found: list[tuple[Any, ...]]) -> Columns:
    """One entry a tenant, of however many series."""
    names, kinds, _, *numbers, datas = zip(*found, strict=True) if found else ((),) * 8
    tenants = list(dict.fromkeys(names))
    places = {tenant: place for place, tenant in enumerate(tenants)}
    rows = np.fromiter((places[name] for name in names), dtype=np.int64, count=len(names))
    order = {metric: number for number, metric in enumerate(metrics)}
    metric_of = np.fromiter((order[kind] for kind in kinds), dtype=np.int64, count=len(kinds))
    counts, sums, minima, maxima = (np.array(column, dtype=np.float64) for column in numbers)
    by_metric: dict[str, Column] = {}
    for metric, number in order.items():
        chosen = np.flatnonzero(metric_of == number)
        own, size = rows[chosen], len(tenants)
        pieces = [(row, blob) for row, place in zip(own.tolist(), chosen.tolist(), strict=True) for blob in datas[place] or ()]
        present = np.zeros(size, dtype=np.bool_)
        present[own] = True
        by_metric[metric] = Column(
            present,
            _together(np.add, counts[chosen], own, size),
            _together(np.add, sums[chosen], own, size),
            _together(np.minimum, minima[chosen], own, size),
            _together(np.maximum, maxima[chosen], own, size),
            np.array([row for row, _ in pieces], dtype=np.int64),
            np.array([len(blob) for _, blob in pieces], dtype=np.int64),
            b"".join([blob for _, blob in pieces]),
        )
    return Columns(tenants, by_metric)


def _together(how: np.ufunc, values: Floats, rows: Integers, size: int) -> Floats:
    """The values of each tenant in one: NaN where it has none."""
    known = ~np.isnan(values)
    merged = np.full(size, _NOTHING[how])
    how.at(merged, rows[known], values[known])
    missing = np.ones(size, dtype=np.bool_)
    missing[rows[known]] = False
    merged[missing] = np.nan
    return merged
