"""Some metrics of many tenants over one stretch of time, merged by Postgres: one look at the table for all of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import orjson
from django.db import connection

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.frame import Floats, Integers, Mask
from apps.monitoring.core.resolution import Resolution, Stretch
from apps.monitoring.query.binary import fetch
from apps.monitoring.rollup import periods

_ROWS: Final = (
    # One literal resolution, so that only its partitions are planned for.
    "SELECT m.series_id, m.count, m.sum, m.min, m.max, m.data "
    "FROM monitoring_series s JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
    "WHERE s.metric = ANY(%(metrics)s) AND {whose} "
    "AND m.resolution = {resolution:d} AND m.ts >= %(start{number})s AND m.ts < %(end{number})s"
)
# Postgres groups by a number: by the texts of tenant and metric it takes twice as long. Sums are exact up to the end.
_MERGED: Final = (
    "SELECT s.tenant, s.metric, m.* FROM (SELECT series_id, sum(count)::float8, sum(sum)::float8, min(min)::float8, "
    "max(max)::float8, array_agg(data) FILTER (WHERE data IS NOT NULL) FROM ({rows}) AS rows GROUP BY series_id) AS m "
    "JOIN monitoring_series s ON s.id = m.series_id"
)

_NOTHING: Final[Mapping[np.ufunc, float]] = MappingProxyType({np.add: 0.0, np.minimum: np.inf, np.maximum: -np.inf})
"""What a merge begins with."""


@dataclass(frozen=True, slots=True)
class Column:
    """One metric: an entry for each tenant, in storage units. NaN is missing, and ``present`` is whether there is any row.

    ``datas`` are encoded histograms or sketches, ``owners`` the tenant's place of each.
    """

    present: Mask
    counts: Floats
    sums: Floats
    minima: Floats
    maxima: Floats
    owners: Integers
    datas: list[bytes]


@dataclass(frozen=True, slots=True)
class Columns:
    """What the tenants did, by metric. Every tenant has a row of one of the metrics at least."""

    tenants: list[str]
    by_metric: Mapping[str, Column]


def read(metrics: Collection[str], tenant: str | None, labels: Mapping[str, str], start: int, end: int) -> Columns:
    """The metrics in the minutes ``[start, end)``, of one statement: whatever is written meanwhile, they fit together.

    ``tenant`` None is each one, ``labels`` those that a series has to have, at least.
    """
    whose = "s.tenant <> ''" if tenant is None else "s.tenant = %(tenant)s"
    if labels:
        whose += " AND s.labels <> '' AND s.labels::jsonb @> %(labels)s::jsonb"
    given: dict[str, Any] = {
        "metrics": sorted(metrics),
        "tenant": tenant,
        "labels": orjson.dumps(dict(labels)).decode(),
    }
    rows: list[str] = []
    for number, stretch in enumerate(_stretches(start, end)):
        rows.append(_ROWS.format(whose=whose, resolution=stretch.resolution, number=number))
        given |= {f"start{number}": to_datetime(stretch.start), f"end{number}": to_datetime(stretch.end)}
    with connection.cursor() as cursor:
        # It takes a moment: nothing to start a compiler for, and it is not to be written to disk.
        cursor.execute("SET LOCAL jit = off; SET LOCAL work_mem = '64MB'")
    return _columns(sorted(metrics), fetch(_MERGED.format(rows=" UNION ALL ".join(rows)), given))


def _stretches(start: int, end: int) -> list[Stretch]:
    """Where it is read from: minutes, and whole hours and days that are compacted."""
    if end - start < Resolution.HOUR:
        return [Stretch(Resolution.MINUTE, start, end)]
    stored = periods.stored(start, end)
    return stored.stretches(*stored.widen(start, end))


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
            [blob for _, blob in pieces],
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
