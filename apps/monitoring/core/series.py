"""The identity of a series and its two spellings: in the hot store (short) and in Postgres (canonical JSON)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

import orjson

from apps.monitoring import catalogue
from apps.monitoring.catalogue import Metric

GLOBAL: Final = ""
"""The tenant of series that count all tenants together."""

OVERFLOW: Final = "otel.metric.overflow"
"""The label, as OpenTelemetry calls it, of what a user's metric counts over the cap of its labels."""

_SEPARATOR: Final = "\x1f"
_OVERFLOWING: Final = (orjson.dumps({OVERFLOW: "true"}).decode(),)


class SeriesKey(NamedTuple):
    """Metric and label values, in the order of the metric's label names; a user's metric has one value, its JSON."""

    metric: str
    values: tuple[str, ...] = ()


def encode(metric: Metric, values: tuple[str, ...]) -> str:
    """The spelling in the hot store: code, then the label values."""
    return _SEPARATOR.join((metric.code, *values))


def decode(text: str) -> tuple[Metric, tuple[str, ...]]:
    """Reverse of `encode`. Raises KeyError for the code of a metric that this version does not know."""
    code, *values = text.split(_SEPARATOR)
    metric = catalogue.by_code(code)
    # In the hot store it is the word that every metric has for it; the labels of a user's metric are JSON.
    overflows = values == [catalogue.OTHER] and metric.name.startswith(catalogue.USER_PREFIX)
    return metric, _OVERFLOWING if overflows else tuple(values)


def labels_json(metric: Metric, values: tuple[str, ...]) -> str:
    """Canonical JSON of the labels, "" without labels."""
    if not values:
        return ""
    if metric.name.startswith(catalogue.USER_PREFIX):
        return values[0]
    return orjson.dumps(dict(zip(metric.labels, values, strict=True)), option=orjson.OPT_SORT_KEYS).decode()


def labels_dict(labels: str) -> dict[str, str]:
    """The labels of a stored series."""
    parsed: dict[str, str] = orjson.loads(labels) if labels else {}
    return parsed


def user_values(labels: Mapping[str, str]) -> tuple[str, ...]:
    """Label values of a user's metric: one, the canonical JSON of them all."""
    return (orjson.dumps(dict(labels), option=orjson.OPT_SORT_KEYS).decode(),) if labels else ()
