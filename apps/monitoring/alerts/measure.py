"""What each rule sees of every tenant it judges, over one window: one read for all rules that share it, never one a tenant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np
import orjson

from apps.monitoring.catalogue import DISTINCT, METRICS, RATIOS, Kind, Ratio, scale_of
from apps.monitoring.core import derived, distinct, histogram
from apps.monitoring.core.clock import SECONDS
from apps.monitoring.core.frame import Floats, Frame, Integers, Mask
from apps.monitoring.core.judging import NOTHING, Measured
from apps.monitoring.core.period import Period, bounds
from apps.monitoring.core.rules import QUANTILES, NoData, Rule, Scope, Statistic
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.query import columns, tenants
from apps.monitoring.query.columns import Column, Columns


class _Held:
    """What was read, and what was made of it: rules share a percentile or the count of a union."""

    def __init__(self, read: Columns) -> None:
        self.tenants = read.tenants
        self._by_metric = read.by_metric
        self._counts: dict[str, Floats] = {}
        self._groups: dict[str, histogram.Groups] = {}
        self._quantiles: dict[tuple[str, str], Floats] = {}

    def holds(self, metrics: Collection[str]) -> bool:
        return all(metric in self._by_metric for metric in metrics)

    def column(self, metric: str) -> Column:
        return self._by_metric[metric]

    def counts(self, metric: str) -> Floats:
        """Of samples, or of different members; NaN is missing."""
        own = self._by_metric[metric]
        if metric not in DISTINCT:
            return own.counts
        if metric not in self._counts:
            counted = distinct.counts_by_group(own.owners, own.lengths, own.data, len(self.tenants)).astype(np.float64)
            self._counts[metric] = np.where(own.present, counted, np.nan)
        return self._counts[metric]

    def amounts(self, metric: str) -> Floats:
        """The sum of an amount, the count of everything else."""
        if METRICS[metric].kind is Kind.AMOUNT:
            return self._by_metric[metric].sums / METRICS[metric].scale
        return self.counts(metric)

    def quantiles(self, metric: str, statistic: Statistic) -> Floats:
        """In the metric's unit."""
        key = (metric, statistic)
        if key not in self._quantiles:
            self._quantiles[key] = self._grouped(metric).quantiles(QUANTILES[statistic]) / scale_of(metric)
        return self._quantiles[key]

    def _grouped(self, metric: str) -> histogram.Groups:
        if metric not in self._groups:
            own = self._by_metric[metric]
            self._groups[metric] = histogram.Groups(own.owners, own.lengths, own.data, own.minima, own.maxima)
        return self._groups[metric]


class Window:
    """The stored minutes ``[start, end)``, read once for all the rules that share it."""

    def __init__(self, start: int, end: int) -> None:
        self._start, self._end = start, end
        self._read: dict[tuple[str | None, bytes], list[_Held]] = defaultdict(list)

    def read(self, metrics: Collection[str], tenant: str | None = None, labels: Mapping[str, str] | None = None) -> None:
        """Read what several rules will ask for."""
        self._held(metrics, tenant, labels or {})

    def frame(self, rule: Rule) -> Frame:
        """What a rule sees in the window's last minute, of every tenant that it judges because of what is stored."""
        held = self._held(metrics_of(rule), tenant_of(rule), rule.label_filter)
        ratio = RATIOS.get(rule.metric)
        values, samples, judged = self._plain(rule, held) if ratio is None else _ratio(ratio, held)
        minute, rows = self._end - 1, np.flatnonzero(judged)
        return Frame(
            minute,
            [held.tenants[row] for row in rows.tolist()],
            values[rows, np.newaxis],
            samples[rows, np.newaxis],
            np.full(rows.size, minute),
        )

    def _plain(self, rule: Rule, held: _Held) -> tuple[Floats, Integers, Mask]:
        counts = held.counts(rule.metric)
        samples = np.nan_to_num(counts).astype(np.int64)
        return self._statistic(rule, held, counts), samples, samples > 0

    def _statistic(self, rule: Rule, held: _Held, counts: Floats) -> Floats:
        scale, own, statistic = scale_of(rule.metric), held.column(rule.metric), Statistic(rule.statistic)
        if statistic in QUANTILES:
            return held.quantiles(rule.metric, statistic)
        match statistic:
            case Statistic.COUNT:
                return counts
            case Statistic.RATE:
                return counts / ((self._end - self._start) * SECONDS)
            case Statistic.SUM | Statistic.FORECAST:
                return own.sums / scale
            case Statistic.MEAN:
                return own.sums / counts / scale
            case Statistic.MIN:
                return own.minima / scale
            case _:
                return own.maxima / scale

    def _held(self, metrics: Collection[str], tenant: str | None, labels: Mapping[str, str]) -> _Held:
        known = self._read[tenant, orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS)]
        found = next((one for one in known if one.holds(metrics)), None)
        if found is None:
            found = _Held(columns.read(metrics, tenant, labels, self._start, self._end))
            known.append(found)
        return found


def _ratio(ratio: Ratio, held: _Held) -> tuple[Floats, Integers, Mask]:
    above, below = np.nan_to_num(held.amounts(ratio.numerator)), held.amounts(ratio.denominator)
    known: Mask = below > 0
    if ratio.required is not None:
        known = known & held.column(ratio.required).present
    values = np.divide(above, below, out=np.full(below.shape, np.nan), where=known)
    samples = np.nan_to_num(held.amounts(ratio.samples)).astype(np.int64)
    return values, samples, held.column(ratio.denominator).present


def tenant_of(rule: Rule) -> str | None:
    """The tenant to read; None is each one."""
    if rule.scope == Scope.EVERY_TENANT:
        return None
    return rule.tenant if rule.scope == Scope.ONE_TENANT else GLOBAL


def metrics_of(rule: Rule) -> set[str]:
    """The metrics that a rule looks at."""
    ratio = RATIOS.get(rule.metric)
    if ratio is None:
        return {rule.metric}
    return {ratio.numerator, ratio.denominator, ratio.samples} | ({ratio.required} if ratio.required else set())


class Windows:
    """The windows that the rules look at when they judge one minute, each read once."""

    def __init__(self, minute: int) -> None:
        self._end = minute + 1
        self._read: dict[tuple[int, int], Window] = {}

    def read_together(self, rules: Iterable[Rule], before_each: Callable[[], None]) -> None:
        """Read at once what several of the rules need: the windows of plain rules for every tenant.

        Without it each rule reads what it needs, or shares what another one has read. ``before_each`` is called before each
        of the windows.
        """
        wanted: dict[int, set[str]] = defaultdict(set)
        for rule in rules:
            if rule.scope == Scope.EVERY_TENANT and not (rule.budget or rule.label_filter):
                wanted[rule.window] |= metrics_of(rule)
        for window, metrics in wanted.items():
            before_each()
            self._window(self._end - window, self._end).read(metrics)

    def frame(self, rule: Rule) -> Frame:
        """What a rule sees over ``[minute + 1 - window, minute + 1)``, or what it makes of it: a frame of one minute."""
        if not rule.budget and not rule.change_against:
            return self._window(self._end - rule.window, self._end).frame(rule)
        seen = self._spent(rule) if rule.budget else self._changed(rule)
        values = [np.nan if one.value is None else one.value for one in seen.values()]
        samples = [one.samples for one in seen.values()]
        minute = self._end - 1
        return Frame(
            minute,
            list(seen),
            np.array(values, dtype=np.float64)[:, np.newaxis],
            np.array(samples, dtype=np.int64)[:, np.newaxis],
            np.full(len(seen), minute),
        )

    def measure(self, rule: Rule) -> dict[str, Measured]:
        """The same by tenant; tenants without any sample are left out."""
        return _by_tenant(self.frame(rule))

    def _changed(self, rule: Rule) -> dict[str, Measured]:
        """Against the same window a day or a week before."""
        end = self._end - rule.offset
        now = self._seen(rule, self._end - rule.window, self._end)
        earlier = self._seen(rule, end - rule.window, end)
        return {tenant: derived.change(seen, earlier.get(tenant, NOTHING)) for tenant, seen in now.items()}

    def _spent(self, rule: Rule) -> dict[str, Measured]:
        """Of the calendar day or month so far."""
        start, end = bounds(Period(rule.budget), self._end - 1, rule.time_zone)
        so_far = self._seen(rule, start, self._end)
        if rule.statistic != Statistic.FORECAST:
            return so_far
        lately = self._seen(rule, self._end - rule.window, self._end)
        left = end - self._end
        return {
            tenant: derived.forecast(so_far.get(tenant, NOTHING), lately.get(tenant, NOTHING), rule.window, left)
            for tenant in {*so_far, *lately}
        }

    def _seen(self, rule: Rule, start: int, end: int) -> dict[str, Measured]:
        return _by_tenant(self._window(start, end).frame(rule))

    def _window(self, start: int, end: int) -> Window:
        if (start, end) not in self._read:
            self._read[start, end] = Window(start, end)
        return self._read[start, end]


def _by_tenant(frame: Frame) -> dict[str, Measured]:
    return {tenant: frame.seen(row, 0) for row, tenant in enumerate(frame.tenants)}


def expected_tenants(rule: Rule) -> set[str]:
    """Whom a rule judges even without a sample: all together, its one tenant, or with an alert on no data everybody."""
    if rule.scope == Scope.GLOBAL:
        return {GLOBAL}
    if rule.scope == Scope.ONE_TENANT:
        return {rule.tenant}
    if rule.no_data != NoData.ALERT:
        return set()
    return tenants.known(sampled_metric(rule))


def sampled_metric(rule: Rule) -> str:
    """The metric without which a rule has no data."""
    ratio = RATIOS.get(rule.metric)
    return rule.metric if ratio is None else ratio.denominator
