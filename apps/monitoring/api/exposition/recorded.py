"""What was recorded since midnight, as families of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric as Exposed

from apps.monitoring.catalogue import METRICS, USER_PREFIX, Kind, Metric, user_metric
from apps.monitoring.core import histogram, prometheus
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.clock import SECONDS
from apps.monitoring.core.prometheus import Family, Type
from apps.monitoring.core.series import SeriesKey, labels_dict
from apps.monitoring.query.today import Today

Labels = tuple[tuple[str, str], ...]
"""Names and values, in the order of the names."""
Rows = dict[Labels, Cell]


def families(today: Today, *, named: bool, created: bool) -> Iterator[Exposed]:
    """The families that have a sample.

    ``named``: each tenant has a label of its own. ``created``: each series says since when it counts, as OpenMetrics can.
    """
    found = _rows(today, named=named)
    metrics = {(name, kind): METRICS.get(name) or user_metric(name.removeprefix(USER_PREFIX), kind) for name, kind in found}
    own = prometheus.own_families(metric for metric in metrics.values() if metric.name not in METRICS)
    since = float(today.since * SECONDS) if created else None
    for place in sorted(found):
        metric, rows = metrics[place], sorted(found[place].items())
        yield _values(metric, own.get(place) or prometheus.family(metric), rows, since)
        counted = prometheus.samples(metric)
        if counted is not None:
            yield _counter(counted, [(labels, cell.count) for labels, cell in rows], since)


def _rows(today: Today, *, named: bool) -> dict[tuple[str, Kind], Rows]:
    """The rows of each metric and kind: those of one that have the same labels in the end are one.

    Of what there was the day before, and not since, nothing is counted: so its first one is seen to be one more.
    """
    found: dict[tuple[str, Kind], Rows] = {}
    for tenant, cells in today.cells.items():
        before = today.before[tenant]
        for key in before.keys() | cells.keys():
            kinds = {kind for cell in (before.get(key), cells.get(key)) if cell is not None for kind in _kinds(key, cell)}
            labels = tuple(sorted((_labels(key) | ({prometheus.TENANT: tenant} if named else {})).items()))
            for kind in kinds:
                row = found.setdefault((key.metric, kind), {}).setdefault(labels, Cell())
                if key in cells:
                    row.merge(cells[key])
    return found


def _kinds(key: SeriesKey, cell: Cell) -> set[Kind]:
    """One of a metric of the catalogue, none of one that it does not know.

    One name of the users' own may be counted and sampled: what is in no bucket was counted.
    """
    if not key.metric.startswith(USER_PREFIX):
        return {METRICS[key.metric].kind} if key.metric in METRICS else set()
    counted = {Kind.COUNTER} if cell.count > sum(cell.buckets.values()) else set()
    return counted | ({Kind.HISTOGRAM} if cell.buckets else set())


def _labels(key: SeriesKey) -> dict[str, str]:
    if key.metric.startswith(USER_PREFIX):
        return prometheus.own_labels(labels_dict(key.values[0])) if key.values else {}
    metric = METRICS.get(key.metric)
    return {} if metric is None else dict(zip(metric.labels, key.values, strict=False))


def _values(metric: Metric, family: Family, rows: list[tuple[Labels, Cell]], since: float | None) -> Exposed:
    scale = prometheus.scale_of(metric)
    if family.type is Type.GAUGE:
        return _gauge(family, [(labels, (cell.sum or 0) / scale) for labels, cell in rows if cell.count])
    match metric.kind:
        case Kind.HISTOGRAM:
            return _histogram(metric, family, rows, since)
        case Kind.AMOUNT:
            return _counter(family, [(labels, (cell.sum or 0) / scale) for labels, cell in rows], since)
        case Kind.DISTINCT:
            return _counter(family, [(labels, cell.distinct()) for labels, cell in rows], since)
        case Kind.COUNTER:
            return _counter(family, [(labels, cell.count - sum(cell.buckets.values())) for labels, cell in rows], since)


def _gauge(family: Family, rows: list[tuple[Labels, float]]) -> Exposed:
    exposed = Exposed(family.name, family.help, family.type, family.unit)
    for labels, value in rows:
        exposed.add_sample(family.name, dict(labels), value)
    return exposed


def _counter(family: Family, rows: list[tuple[Labels, float]], since: float | None) -> Exposed:
    exposed = Exposed(family.name, family.help, family.type, family.unit)
    for labels, value in rows:
        exposed.add_sample(f"{family.name}_total", dict(labels), value)
        _add_created(exposed, labels, since)
    return exposed


def _histogram(metric: Metric, family: Family, rows: list[tuple[Labels, Cell]], since: float | None) -> Exposed:
    exposed = Exposed(family.name, family.help, family.type, family.unit)
    limits = prometheus.limits_of(metric)
    bounds = [*(str(float(bound)) for bound in prometheus.unit_of(metric).bounds), "+Inf"]
    for labels, cell in rows:
        total = sum(cell.buckets.values())
        for bound, count in zip(bounds, [*histogram.cumulative(cell.buckets, limits), total], strict=True):
            exposed.add_sample(f"{family.name}_bucket", {**dict(labels), "le": bound}, count)
        exposed.add_sample(f"{family.name}_count", dict(labels), total)
        exposed.add_sample(f"{family.name}_sum", dict(labels), (cell.sum or 0) / prometheus.scale_of(metric))
        _add_created(exposed, labels, since)
    return exposed


def _add_created(exposed: Exposed, labels: Labels, since: float | None) -> None:
    if since is not None:
        exposed.add_sample(f"{exposed.name}_created", dict(labels), since)
