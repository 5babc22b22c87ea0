"""What Prometheus calls the metrics, and in which units: all of it follows from the catalogue.

Units are Prometheus' base units: seconds, dollars, shares of 1 (https://prometheus.io/docs/practices/naming/).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from apps.monitoring.catalogue import DOLLARS, EACH, MILLISECONDS, SCORE, TOKENS, USER_PREFIX, Kind, Metric
from apps.monitoring.core import histogram

PREFIX: Final = "agentmon_"
TENANT: Final = "tenant"
"""The label of those who were asked for by name."""
_RESERVED: Final = frozenset({TENANT, "le"})
"""Labels that are ours: one of the user's own of that name has another one."""


class Type(StrEnum):
    """What Prometheus takes a family for."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


_SUFFIXES: Final = MappingProxyType(
    {
        Type.COUNTER: ("", "_total", "_created"),
        Type.GAUGE: ("",),
        Type.HISTOGRAM: ("", "_bucket", "_count", "_sum", "_created"),
    }
)
"""What may stand behind a family's name. No two families may have a name in common, in either format."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How values of a unit are exposed: ``scale`` of the metric's units make one; ``bounds`` are those of its histograms."""

    name: str = ""
    scale: int = 1
    bounds: tuple[float, ...] = ()


_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300, 600)
_SCORES: Final = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 1)
_UNITS: Final = MappingProxyType(
    {
        MILLISECONDS: Unit("seconds", 1_000, _SECONDS),
        DOLLARS: Unit("usd"),
        TOKENS: Unit("tokens"),
        SCORE: Unit(bounds=_SCORES),
        EACH: Unit(),
    }
)
_ANY: Final = Unit(bounds=tuple(base * 10.0**power for power in range(-2, 6) for base in (1, 2.5, 5)))
"""Of the users' own samples, whose unit nobody knows: 0.01 to 500,000."""


@dataclass(frozen=True, slots=True)
class Family:
    """A name of Prometheus, without what its type puts behind it."""

    name: str
    type: Type
    help: str
    unit: str = ""

    @property
    def shown(self) -> str:
        """As it stands in a query."""
        return f"{self.name}_total" if self.type is Type.COUNTER else self.name

    @property
    def names(self) -> set[str]:
        """Every name that it takes."""
        return {self.name + suffix for suffix in _SUFFIXES[self.type]}


def unit_of(metric: Metric) -> Unit:
    """The unit that a metric is exposed in."""
    return _ANY if metric.name.startswith(USER_PREFIX) else _UNITS[metric.unit]


def scale_of(metric: Metric) -> int:
    """Storage units in one unit that is exposed."""
    return metric.scale * unit_of(metric).scale


def limits_of(metric: Metric) -> list[int]:
    """The last bucket of the stored histogram that counts under each bound.

    It is the one that a value at the bound itself is in. So such a value counts under it, and so may one that is larger by
    1.1 % at most.
    """
    return [histogram.bucket_of(round(bound * scale_of(metric))) for bound in unit_of(metric).bounds]


def family(metric: Metric) -> Family:
    """What holds a metric: how often, how much, which values, how many different ones. Of what may be negative, a gauge."""
    if metric.signed:
        return Family(f"{_base(metric)}_since_midnight", Type.GAUGE, f"Sum since midnight UTC. {metric.meaning}")
    unit = unit_of(metric).name
    name = _base(metric) if not unit or _base(metric).endswith(f"_{unit}") else f"{_base(metric)}_{unit}"
    return Family(name, Type.HISTOGRAM if metric.kind is Kind.HISTOGRAM else Type.COUNTER, metric.meaning, unit)


def samples(metric: Metric) -> Family | None:
    """What counts the values of an amount; None for a metric of another kind, which needs none."""
    if metric.kind is not Kind.AMOUNT:
        return None
    return Family(f"{_base(metric)}_samples", Type.COUNTER, f"How many values there were. {metric.meaning}")


def families(metric: Metric) -> list[Family]:
    """Both, or the one."""
    counted = samples(metric)
    return [family(metric)] if counted is None else [family(metric), counted]


def _base(metric: Metric) -> str:
    return PREFIX + metric.name


def own_families(metrics: Iterable[Metric]) -> dict[tuple[str, Kind], Family]:
    """The families of the users' own metrics, by name and kind. No two have a name in common.

    Whose name needs no change has it in any case; of others the first in the alphabet. The rest have a digest behind theirs.
    """
    found: dict[tuple[str, Kind], Family] = {}
    taken: set[str] = set()
    for metric in sorted(metrics, key=lambda one: (_plain(one.name) != _spelled(one.name), one.name, one.kind)):
        made = _own(metric, taken)
        taken |= made.names
        found[metric.name, metric.kind] = made
    return found


def _own(metric: Metric, taken: Collection[str]) -> Family:
    kind = Type.HISTOGRAM if metric.kind is Kind.HISTOGRAM else Type.COUNTER
    name = _plain(metric.name)
    if kind is Type.COUNTER:
        name = name.removesuffix("_total")  # it comes back by itself
    made = Family(name, kind, f"{metric.meaning[:-1]}: {metric.name.removeprefix(USER_PREFIX)}.")
    if made.names.isdisjoint(taken):
        return made
    digest = hashlib.blake2s(f"{metric.name} {metric.kind}".encode(), digest_size=4).hexdigest()
    return Family(f"{name}_{digest}", kind, made.help)


def _spelled(name: str) -> str:
    return f"{PREFIX}user_{name.removeprefix(USER_PREFIX)}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", _spelled(name))


def own_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels of the users' own under names that Prometheus takes; the values of those that become one are joined.

    As OpenTelemetry does: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
    """
    found: dict[str, str] = {}
    for name, value in sorted(labels.items()):
        plain = _label(name)
        found[plain] = f"{found[plain]};{value}" if plain in found else value
    return found


def _label(name: str) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_]", "_", name)
    plain = re.sub(r"\A__+", "_", plain) or "_"  # two are Prometheus' own
    return f"user_{plain}" if plain in _RESERVED else f"_{plain}" if plain[0].isdigit() else plain
