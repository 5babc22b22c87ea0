"""The value of each rule for every tenant it judges, over one window: a few grouped reads, never one a tenant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
from django.db import connection

from apps.monitoring.catalogue import DISTINCT, METRICS, RATIOS, Kind, Ratio, scale_of
from apps.monitoring.core import derived, distinct, histogram
from apps.monitoring.core.clock import SECONDS, to_datetime
from apps.monitoring.core.judging import NOTHING, Measured
from apps.monitoring.core.period import Period, bounds
from apps.monitoring.core.resolution import Resolution, Stretch
from apps.monitoring.core.rules import QUANTILES, NoData, Rule, Scope, Statistic
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.rollup import periods

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Column:
    """One metric of many tenants over a window, merged: one entry a tenant. NaN is missing."""

    tenants: list[str]
    counts: Floats
    sums: Floats
    minima: Floats
    maxima: Floats
    datas: list[list[bytes]]

    def flat(self) -> tuple[npt.NDArray[np.int64], list[bytes]]:
        lengths = [len(blobs) for blobs in self.datas]
        owner = np.repeat(np.arange(len(self.datas), dtype=np.int64), lengths)
        return owner, [blob for blobs in self.datas for blob in blobs]

    def by_tenant(self, values: Floats) -> dict[str, float]:
        return dict(zip(self.tenants, values.tolist(), strict=True))


class Window:
    """The stored minutes ``[start, end)``, read once for all the rules that share it."""

    def __init__(self, start: int, end: int) -> None:
        self._start, self._end = start, end
        self._columns: dict[tuple[str, str | None, str], _Column] = {}
        self._chosen: list[Stretch] | None = None

    def measure(self, rule: Rule) -> dict[str, Measured]:
        """The value of a rule by tenant; tenants without any sample are left out."""
        tenant = tenant_of(rule)
        ratio = RATIOS.get(rule.metric)
        if ratio is not None:
            return self._ratio(ratio, tenant)
        column = self._column(rule.metric, tenant, rule.label_filter)
        counts = self._counts(rule.metric, column)
        values = self._statistic(rule, column, counts)
        return {
            name: Measured(None if np.isnan(value) else float(value), int(samples))
            for name, value, samples in zip(column.tenants, values, counts, strict=True)
            if samples
        }

    def _statistic(self, rule: Rule, column: _Column, counts: Floats) -> Floats:
        scale = scale_of(rule.metric)
        if rule.statistic in QUANTILES:
            owner, blobs = column.flat()
            q = QUANTILES[Statistic(rule.statistic)]
            return histogram.quantiles_by_group(owner, blobs, column.minima, column.maxima, q) / scale
        match Statistic(rule.statistic):
            case Statistic.COUNT:
                return counts
            case Statistic.RATE:
                return counts / ((self._end - self._start) * SECONDS)
            case Statistic.SUM | Statistic.FORECAST:
                return column.sums / scale
            case Statistic.MEAN:
                return column.sums / counts / scale
            case Statistic.MIN:
                return column.minima / scale
            case _:
                return column.maxima / scale

    def _ratio(self, ratio: Ratio, tenant: str | None) -> dict[str, Measured]:
        above, below, samples = (
            self._amounts(metric, tenant) for metric in (ratio.numerator, ratio.denominator, ratio.samples)
        )
        required = below if ratio.required is None else self._amounts(ratio.required, tenant)
        measured: dict[str, Measured] = {}
        for name, denominator in below.items():
            known = denominator > 0 and name in required
            value = above.get(name, 0.0) / denominator if known else None
            measured[name] = Measured(value, int(samples.get(name, 0)))
        return measured

    def _amounts(self, metric: str, tenant: str | None) -> dict[str, float]:
        """The sum of an amount, the count of everything else, by tenant."""
        column = self._column(metric, tenant, {})
        if METRICS[metric].kind is Kind.AMOUNT:
            return column.by_tenant(column.sums / METRICS[metric].scale)
        return column.by_tenant(self._counts(metric, column))

    def _counts(self, metric: str, column: _Column) -> Floats:
        if metric not in DISTINCT:
            return column.counts
        owner, blobs = column.flat()
        return distinct.counts_by_group(owner, blobs, len(column.tenants)).astype(np.float64)

    def _column(self, metric: str, tenant: str | None, labels: Mapping[str, str]) -> _Column:
        wanted = orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS).decode()
        key = (metric, tenant, wanted)
        if key not in self._columns:
            self._columns[key] = self._read(metric, tenant, wanted if labels else None)
        return self._columns[key]

    def _read(self, metric: str, tenant: str | None, labels: str | None) -> _Column:
        scope = "s.tenant <> ''" if tenant is None else "s.tenant = %(tenant)s"
        matching = "" if labels is None else "AND s.labels <> '' AND s.labels::jsonb @> %(labels)s::jsonb"
        given: dict[str, Any] = {"metric": metric, "tenant": tenant, "labels": labels}
        stretches: list[str] = []
        for number, stretch in enumerate(self._stretches()):
            # One literal range a resolution, so that only its partitions are planned for.
            stretches.append(
                "SELECT s.tenant, m.count, m.sum, m.min, m.max, m.data "  # noqa: S608 - literals above
                "FROM monitoring_series s JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
                f"WHERE s.metric = %(metric)s AND {scope} {matching} "
                f"AND m.resolution = {stretch.resolution:d} AND m.ts >= %(start{number})s AND m.ts < %(end{number})s"
            )
            given |= {f"start{number}": to_datetime(stretch.start), f"end{number}": to_datetime(stretch.end)}
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT tenant, sum(count)::float8, sum(sum)::float8, min(min)::float8, max(max)::float8, "  # noqa: S608 - literals above
                f"array_agg(data) FILTER (WHERE data IS NOT NULL) FROM ({' UNION ALL '.join(stretches)}) AS m GROUP BY tenant",
                given,
            )
            return _to_column(cursor.fetchall())

    def _stretches(self) -> list[Stretch]:
        """Where the window is read from: minutes, and whole hours and days that are compacted."""
        if self._chosen is None:
            if self._end - self._start < Resolution.HOUR:
                self._chosen = [Stretch(Resolution.MINUTE, self._start, self._end)]
            else:
                stored = periods.stored(self._start, self._end)
                self._chosen = stored.stretches(*stored.widen(self._start, self._end))
        return self._chosen


def _to_column(rows: list[tuple[Any, ...]]) -> _Column:
    def floats(position: int) -> Floats:
        return np.array([np.nan if row[position] is None else row[position] for row in rows], dtype=np.float64)

    datas = [[bytes(blob) for blob in row[5] or ()] for row in rows]
    return _Column([row[0] for row in rows], floats(1), floats(2), floats(3), floats(4), datas)


def tenant_of(rule: Rule) -> str | None:
    """The tenant to read; None is each one."""
    if rule.scope == Scope.EVERY_TENANT:
        return None
    return rule.tenant if rule.scope == Scope.ONE_TENANT else GLOBAL


class Windows:
    """The windows that the rules look at when they judge one minute, each read once."""

    def __init__(self, minute: int) -> None:
        self._end = minute + 1
        self._read: dict[tuple[int, int], Window] = {}

    def measure(self, rule: Rule) -> dict[str, Measured]:
        """The value of a rule by tenant over ``[minute + 1 - window, minute + 1)``, or what the rule makes of it."""
        if rule.budget:
            return self._spent(rule)
        now = self._window(self._end - rule.window, self._end).measure(rule)
        if not rule.change_against:
            return now
        end = self._end - rule.offset
        earlier = self._window(end - rule.window, end).measure(rule)
        return {tenant: derived.change(seen, earlier.get(tenant, NOTHING)) for tenant, seen in now.items()}

    def _spent(self, rule: Rule) -> dict[str, Measured]:
        """Of the calendar day or month so far."""
        start, end = bounds(Period(rule.budget), self._end - 1, rule.time_zone)
        so_far = self._window(start, self._end).measure(rule)
        if rule.statistic != Statistic.FORECAST:
            return so_far
        lately = self._window(self._end - rule.window, self._end).measure(rule)
        left = end - self._end
        return {
            tenant: derived.forecast(so_far.get(tenant, NOTHING), lately.get(tenant, NOTHING), rule.window, left)
            for tenant in {*so_far, *lately}
        }

    def _window(self, start: int, end: int) -> Window:
        if (start, end) not in self._read:
            self._read[start, end] = Window(start, end)
        return self._read[start, end]


def expected_tenants(rule: Rule) -> set[str]:
    """Whom a rule judges even without a sample: all together, its one tenant, or with an alert on no data everybody."""
    if rule.scope == Scope.GLOBAL:
        return {GLOBAL}
    if rule.scope == Scope.ONE_TENANT:
        return {rule.tenant}
    if rule.no_data != NoData.ALERT:
        return set()
    return known_tenants([sampled_metric(rule)])


def sampled_metric(rule: Rule) -> str:
    """The metric without which a rule has no data."""
    ratio = RATIOS.get(rule.metric)
    return rule.metric if ratio is None else ratio.denominator


def known_tenants(metrics: Iterable[str]) -> set[str]:
    """Every tenant that ever had one of the metrics."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant FROM monitoring_series WHERE metric = ANY(%s) AND tenant <> ''", [list(metrics)])
        return {tenant for (tenant,) in cursor.fetchall()}
