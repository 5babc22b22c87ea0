"""One statistic of merged cells, of all series together or by the value of a label."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from apps.monitoring.catalogue import METRICS, OTHER, RATIOS, UNSPECIFIED, USER_PREFIX, scale_of
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.rules import QUANTILES, Statistic
from apps.monitoring.core.series import OVERFLOW, SeriesKey, labels_dict
from apps.monitoring.core.summary import Cells, Reader

MOST_GROUPS: Final = 50
"""Values of a label with a line of their own; the rest is one line, `other`."""


def metrics_of(name: str) -> list[str]:
    """The recorded metrics that a metric or a ratio is read from."""
    ratio = RATIOS.get(name)
    if ratio is None:
        return [name]
    return list(dict.fromkeys([ratio.numerator, ratio.denominator, *([ratio.required] if ratio.required else [])]))


def value(cells: Cells, metric: str, statistic: str, seconds: float) -> float | None:
    """The statistic in the metric's unit (a rate per second, a ratio as a share), over cells of ``seconds`` of time.

    None where nothing was recorded that it could be made of; a count and a rate of nothing are 0.
    """
    read = Reader(cells)
    if metric in RATIOS:
        return read.ratio(metric)
    match Statistic(statistic):
        case Statistic.COUNT:
            return read.count(metric)
        case Statistic.RATE:
            return read.count(metric) / seconds
    cell = read.total(metric)
    quantile = QUANTILES.get(Statistic(statistic))
    stored = {Statistic.SUM: cell.sum, Statistic.MEAN: cell.mean(), Statistic.MIN: cell.min, Statistic.MAX: cell.max}
    found = stored[Statistic(statistic)] if quantile is None else cell.quantile(quantile)
    return None if found is None else found / scale_of(metric)


def has_label(metric: str, label: str) -> bool:
    """Whether its series differ by that label. The users' own metrics may have any."""
    return all(name.startswith(USER_PREFIX) or label in METRICS[name].labels for name in metrics_of(metric))


def by_label(steps: Mapping[int, Cells], label: str) -> dict[str, dict[int, Cells]]:
    """The cells of each step by the value of a label, the most frequent first; past the 50th they are `other`."""
    times: Counter[str] = Counter()
    for cells in steps.values():
        for key, cell in cells.items():
            times[_value(key, label)] += cell.count
    ranked = [name for name, _ in sorted(times.items(), key=lambda item: (-item[1], item[0]))]
    kept = set(ranked[:MOST_GROUPS])
    grouped: dict[str, dict[int, dict[SeriesKey, Cell]]] = {name: {} for name in ranked[:MOST_GROUPS]}
    for start, cells in steps.items():
        for key, cell in cells.items():
            found = _value(key, label)
            own = grouped.setdefault(found if found in kept else OTHER, {}).setdefault(start, {})
            own.setdefault(key, Cell()).merge(cell)
    return {name: dict(own) for name, own in grouped.items()}


def _value(key: SeriesKey, label: str) -> str:
    if key.metric.startswith(USER_PREFIX):
        labels = labels_dict(key.values[0]) if key.values else {}
        return labels.get(label, OTHER if OVERFLOW in labels else UNSPECIFIED)
    return key.values[METRICS[key.metric].labels.index(label)]
