"""Series that a test of rules wrote, as stored rows: what a sweep reads instead of the database."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from apps.monitoring.alerts.measure import tenant_of
from apps.monitoring.alerts.rulefile import notation
from apps.monitoring.alerts.rulefile.notation import Minute
from apps.monitoring.catalogue import METRICS, RATIOS, USER_PREFIX, Kind, Metric, user_metric
from apps.monitoring.core import distinct, histogram, values
from apps.monitoring.core.rules import Rule, Scope
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.query.minutes import MISSING, Stored

MAX_MEMBERS: Final = 100_000
"""Different ones that a minute may count: each is a member of a set."""
_MAX_COUNT: Final = 10**9


@dataclass(frozen=True, slots=True)
class Written:
    """One series: a row a minute, but for the minutes without anything."""

    tenant: str
    metric: str
    labels: Mapping[str, str]
    rows: Stored


def series(spelled: str, recorded: str, start: int, kind: Kind, number: int) -> Written:
    """The series that two texts spell, from the minute ``start`` on. ``kind`` is that of a metric of the user's own.

    ``number`` tells it apart from other series: members of sets that two of them count are different ones. Raises
    ValueError.
    """
    name, labels = notation.series(spelled)
    metric = _metric(name, kind)
    tenant = labels.pop("tenant", "")
    if not tenant:
        msg = 'a series names its tenant: {tenant="acme"}; rules on all tenants together see every series'
        raise ValueError(msg)
    unknown = sorted(set(labels) - set(metric.labels))
    if unknown and not name.startswith(USER_PREFIX):
        msg = f"{name} has no label {', '.join(unknown)}; it has {', '.join(metric.labels) or 'none but tenant'}"
        raise ValueError(msg)
    return Written(tenant, name, labels, _rows(metric, notation.values(recorded), start, number))


class Source:
    """What `sweep.Sweep` asks for, of written series."""

    def __init__(self, written: Sequence[Written]) -> None:
        self._written = written

    def series(self, rule: Rule, metric: str) -> dict[int, str]:
        """By number the tenant that the rule judges by it; all together see the series of every tenant."""
        tenant, wanted = tenant_of(rule), rule.label_filter.items()
        return {
            number: GLOBAL if tenant == GLOBAL else one.tenant
            for number, one in enumerate(self._written)
            if one.metric == metric and tenant in {None, GLOBAL, one.tenant} and wanted <= one.labels.items()
        }

    def known(self, rule: Rule, start: int) -> dict[str, int]:
        """Whom the rule judges from the start even without samples: nobody was there before."""
        if rule.scope == Scope.EVERY_TENANT:
            return {}
        return {rule.tenant if rule.scope == Scope.ONE_TENANT else GLOBAL: start}

    def read(
        self,
        series: Collection[int],
        with_data: Collection[int],  # noqa: ARG002 - bytes are here already
        start: int,
        end: int,
    ) -> dict[int, Stored]:
        """The rows of the minutes ``[start, end)`` by series."""
        found = {number: _between(self._written[number].rows, start, end) for number in series}
        return {number: rows for number, rows in found.items() if rows.minutes.size}


def _metric(name: str, kind: Kind) -> Metric:
    if name in RATIOS:
        ratio = RATIOS[name]
        parts = dict.fromkeys((ratio.numerator, ratio.denominator, ratio.samples))
        msg = f"{name} is computed from other metrics: write series of {', '.join(parts)}"
        raise ValueError(msg)
    if name.startswith(USER_PREFIX):
        return user_metric(name.removeprefix(USER_PREFIX), kind)
    if name not in METRICS:
        msg = f"there is no metric {name!r}"
        raise ValueError(msg)
    return METRICS[name]


def _rows(metric: Metric, minutes: Sequence[Minute | None], start: int, number: int) -> Stored:
    rows = [
        (start + offset, *_row(metric, minute, f"{number}/{offset}"))
        for offset, minute in enumerate(minutes)
        if minute is not None
    ]
    columns = [np.array([row[column] for row in rows], dtype=np.int64) for column in range(5)]
    datas = [row[5] for row in rows]
    lengths = np.array([len(data) for data in datas], dtype=np.int64)
    return Stored(columns[0], columns[1], columns[2], columns[3], columns[4], lengths, b"".join(datas))


def _row(metric: Metric, minute: Minute, place: str) -> tuple[int, int, int, int, bytes]:
    """Count, sum, minimum, maximum and bytes, as a snapshot of the metric has them."""
    if metric.kind in {Kind.COUNTER, Kind.DISTINCT}:
        count = sum(_whole(metric, value) * times for value, times in minute)
        if metric.kind is Kind.COUNTER:
            return count, MISSING, MISSING, MISSING, b""
        if count > MAX_MEMBERS:
            msg = f"{metric.name} counts at most {MAX_MEMBERS:,} different ones a minute here, not {count:,}"
            raise ValueError(msg)
        sketch = distinct.encode(distinct.hash_of(f"{place}/{member}") for member in range(count))
        return count, MISSING, MISSING, MISSING, sketch
    stored = [(_stored(metric, value), times) for value, times in minute]
    count, total = sum(times for _, times in stored), sum(value * times for value, times in stored)
    if metric.kind is Kind.AMOUNT:
        return count, total, MISSING, MISSING, b""
    buckets: histogram.Buckets = {}
    for value, times in stored:
        histogram.merge(buckets, {histogram.bucket_of(value): times})
    recorded = [value for value, _ in stored]
    return count, total, min(recorded), max(recorded), histogram.encode(buckets)


def _whole(metric: Metric, value: float) -> int:
    if not 0 <= value <= _MAX_COUNT or not value.is_integer():
        msg = f"{metric.name} is counted: a whole number of 0 to {_MAX_COUNT:,}, not {value:g}"
        raise ValueError(msg)
    return int(value)


def _stored(metric: Metric, value: float) -> int:
    try:
        return values.stored(value, metric.scale, negative=metric.signed)
    except values.RefusedError as error:
        msg = f"{metric.name} cannot be {value:g} {metric.unit}: {error.reason}"
        raise ValueError(msg) from error


def _between(rows: Stored, start: int, end: int) -> Stored:
    first, last = np.searchsorted(rows.minutes, (start, end)).tolist()
    ends = np.concatenate([[0], np.cumsum(rows.lengths)])
    own = slice(first, last)
    return Stored(
        rows.minutes[own], rows.counts[own], rows.sums[own], rows.minima[own], rows.maxima[own], rows.lengths[own],
        rows.data[ends[first] : ends[last]],
    )  # fmt: skip
