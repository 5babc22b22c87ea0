"""How near a recording comes to what rounding could decide otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.oracle.recording import MINUTE_MS, Interaction, by_tenant
from tests.oracle.rules import DEFAULT_RULES
from tests.oracle.timeline import measurements


@dataclass(frozen=True)
class Near:
    """A judged value that lies close to its threshold."""

    rule: str
    tenant: str
    minute: int
    value: float


def near_thresholds(rows: Iterable[Interaction], until: int, relative: float, rule_prefix: str = "") -> Iterator[Near]:
    """Judged values within ``relative`` of their threshold."""
    for tenant, own in by_tenant(rows).items():
        for rule in DEFAULT_RULES:
            if rule.name.startswith(rule_prefix):
                for minute, (value, _) in enumerate(measurements(rule, own, until)):
                    if value is not None and abs(value - rule.threshold) <= relative * rule.threshold:
                        yield Near(rule.name, tenant, minute, value)


def nearest_to_a_minute(rows: Iterable[Interaction]) -> float:
    """Milliseconds between the end of an interaction and the next full minute, at the least."""
    return min(min(row.ended_ms % MINUTE_MS, -row.ended_ms % MINUTE_MS) for row in rows)
