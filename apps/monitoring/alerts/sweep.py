"""What a rule sees in every minute of a range: frame after frame, each stored row read once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final, Protocol

import numpy as np

from apps.monitoring.alerts.measure import expected_tenants, metrics_of, sampled_metric, tenant_of
from apps.monitoring.alerts.track import Track
from apps.monitoring.catalogue import DISTINCT, METRICS, RATIOS, Kind, Ratio, scale_of
from apps.monitoring.core import derived
from apps.monitoring.core.frame import Floats, Frame, Integers, Mask
from apps.monitoring.core.period import LONGEST, Period, bounds
from apps.monitoring.core.rules import QUANTILES, NoData, Rule, Scope, Statistic
from apps.monitoring.core.series import GLOBAL, labels_dict
from apps.monitoring.models import Series
from apps.monitoring.query import minutes
from apps.monitoring.query.minutes import Stored
from apps.monitoring.query.tenants import known_before

NEVER: Final = np.iinfo(np.int64).max
_STEP: Final = 1_440
"""Minutes of a frame."""
_CELLS: Final = 1_000_000
"""Minutes times tenants that are held at once, the minutes of a window before the first one included."""


class Source(Protocol):
    """Where a sweep reads."""

    def series(self, rule: Rule, metric: str) -> Mapping[int, str]:
        """By number the series of a metric that the rule looks at, each with its tenant."""

    def known(self, rule: Rule, start: int) -> dict[str, int]:
        """Whom the rule judges even without samples, and since when."""

    def read(self, series: Collection[int], with_data: Collection[int], start: int, end: int) -> Mapping[int, Stored]:
        """The rows of the minutes ``[start, end)`` by series; bytes only of those ``with_data``, or of more."""


class Database:
    """What is stored."""

    def series(self, rule: Rule, metric: str) -> dict[int, str]:
        """Of the rule's tenants, with its labels."""
        tenant = tenant_of(rule)
        own = Series.objects.filter(metric=metric)
        own = own.exclude(tenant=GLOBAL) if tenant is None else own.filter(tenant=tenant)
        wanted = rule.label_filter.items()
        found = own.values_list("id", "tenant", "labels")
        return {number: name for number, name, labels in found if not wanted or wanted <= labels_dict(labels).items()}

    def known(self, rule: Rule, start: int) -> dict[str, int]:
        """Who was known by then, not who is known today."""
        expected = expected_tenants(rule)
        if rule.scope != Scope.EVERY_TENANT or not expected:
            return dict.fromkeys(expected, start)
        return dict.fromkeys(known_before(sampled_metric(rule), start), start)

    def read(self, series: Collection[int], with_data: Collection[int], start: int, end: int) -> dict[int, Stored]:
        """One look at the table."""
        return minutes.read(series, with_data, start, end)


class Sweep:
    """What a rule sees in the minutes ``[start, end)``: frames in the order of time, for some of the tenants and then others.

    Every minute has to be rolled up and still kept, those of the first window too. Its length is the number of frames.
    """

    def __init__(self, rule: Rule, start: int, end: int, source: Source | None = None) -> None:
        self._rule, self._start, self._end = rule, start, end
        self._source = source or Database()
        self._series = {metric: self._source.series(rule, metric) for metric in metrics_of(rule)}
        self._known = self._source.known(rule, start)
        tenants = sorted({*self._known, *(tenant for own in self._series.values() for tenant in own.values())})
        size = max(1, _CELLS // (rule.reach + _STEP))
        self._groups = [tenants[first : first + size] for first in range(0, len(tenants), size)]

    def __len__(self) -> int:
        return len(self._groups) * len(self._steps)

    def __iter__(self) -> Iterator[Frame]:
        for tenants in self._groups:
            offset = self._rule.offset
            group = _Group(self._rule, self._source, self._start, tenants, self._series, self._known)
            earlier = _Group(self._rule, self._source, self._start - offset, tenants, self._series, {})
            for first in self._steps:
                last = min(first + _STEP, self._end)
                frame = group.frame(first, last)
                yield frame.against(earlier.frame(first - offset, last - offset)) if offset else frame

    @property
    def _steps(self) -> range:
        return range(self._start, self._end, _STEP)


class _Group:
    """Some tenants, and a track of each metric that the rule looks at."""

    def __init__(
        self,
        rule: Rule,
        source: Source,
        start: int,
        tenants: list[str],
        series: Mapping[str, Mapping[int, str]],
        known: Mapping[str, int],
    ) -> None:
        self._rule, self._source, self._tenants = rule, source, tenants
        self._known = np.array([known.get(tenant, NEVER) for tenant in tenants], dtype=np.int64)
        rows = {tenant: row for row, tenant in enumerate(tenants)}
        self._tracks: dict[str, Track] = {}
        # What a budget sums up is not longer than this, wherever in the calendar a minute lies.
        window = max(rule.window, LONGEST[Period(rule.budget)]) if rule.budget else rule.window
        for metric, owners in series.items():
            own = {number: rows[tenant] for number, tenant in owners.items() if tenant in rows}
            self._tracks[metric] = Track(own, len(tenants), window, sketched=metric in DISTINCT)
        with_data = [metric for metric in series if metric in DISTINCT or rule.statistic in QUANTILES]
        self._with_data = [number for metric in with_data for number in self._tracks[metric].series]
        self._until = start - window + 1
        """The first minute that was not read."""

    def frame(self, start: int, end: int) -> Frame:
        """The next minutes."""
        numbers = [number for track in self._tracks.values() for number in track.series]
        read = self._source.read(numbers, self._with_data, self._until, end)
        self._until = end
        for track in self._tracks.values():
            track.slide(start, end, read)
        values, samples, measured = self._values(start, end)
        if self._rule.scope == Scope.EVERY_TENANT and self._rule.no_data == NoData.ALERT:
            first = np.where(measured.any(axis=1), start + measured.argmax(axis=1), NEVER)
            self._known = np.minimum(self._known, first)
        values, samples = np.where(measured, values, np.nan), np.where(measured, samples, 0)
        return Frame(start, self._tenants, values, samples, self._known)

    def _values(self, start: int, end: int) -> tuple[Floats, Integers, Mask]:
        if self._rule.budget:
            return self._of_budget(start, end)
        ratio = RATIOS.get(self._rule.metric)
        return self._plain() if ratio is None else self._of_ratio(ratio)

    def _of_budget(self, start: int, end: int) -> tuple[Floats, Integers, Mask]:
        (track,) = self._tracks.values()
        rule, minutes = self._rule, np.arange(start, end)
        firsts, ends = _periods(rule, start, end)
        samples = track.counts(firsts)
        if rule.statistic == Statistic.COUNT:
            return samples.astype(np.float64), samples, samples > 0
        scale = scale_of(rule.metric)
        values = track.sums(firsts) / scale
        if rule.statistic == Statistic.FORECAST:
            window = minutes - rule.window + 1
            lately = track.sums(window) / scale
            unknown = np.isnan(values) & np.isnan(lately)
            values = derived.projected(np.nan_to_num(values), np.nan_to_num(lately), rule.window, ends - minutes - 1)
            values[unknown] = np.nan
            samples = np.maximum(samples, track.counts(window))
        return values, samples, samples > 0

    def _plain(self) -> tuple[Floats, Integers, Mask]:
        (track,) = self._tracks.values()
        counts, scale = track.counts(), scale_of(self._rule.metric)
        statistic = Statistic(self._rule.statistic)
        with np.errstate(divide="ignore", invalid="ignore"):
            match statistic:
                case Statistic.COUNT:
                    values = counts.astype(np.float64)
                case Statistic.RATE:
                    values = track.rates()
                case Statistic.SUM:
                    values = track.sums() / scale
                case Statistic.MEAN:
                    values = track.sums() / counts / scale
                case Statistic.MIN:
                    values = track.minima() / scale
                case Statistic.MAX:
                    values = track.maxima() / scale
                case _:
                    values = track.quantiles(QUANTILES[statistic]) / scale
        return values, counts, counts > 0

    def _of_ratio(self, ratio: Ratio) -> tuple[Floats, Integers, Mask]:
        above, below = (self._amounts(metric) for metric in (ratio.numerator, ratio.denominator))
        known = below > 0
        if ratio.required is not None:
            known &= self._tracks[ratio.required].present()
        values = np.divide(np.nan_to_num(above), below, out=np.full(below.shape, np.nan), where=known)
        return values, self._tracks[ratio.samples].counts(), self._tracks[ratio.denominator].present()

    def _amounts(self, metric: str) -> Floats:
        """The sum of an amount, the count of everything else."""
        if METRICS[metric].kind is Kind.AMOUNT:
            return self._tracks[metric].sums() / METRICS[metric].scale
        return self._tracks[metric].counts().astype(np.float64)


def _periods(rule: Rule, start: int, end: int) -> tuple[Integers, Integers]:
    """For each minute of ``[start, end)`` where the part of the calendar that it lies in begins, and where the next does."""
    firsts, ends = (np.empty(end - start, dtype=np.int64) for _ in range(2))
    minute = start
    while minute < end:
        first, after = bounds(Period(rule.budget), minute, rule.time_zone)
        firsts[minute - start : after - start], ends[minute - start : after - start] = first, after
        minute = after
    return firsts, ends
