"""A threshold for a rule, from what was stored."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Any, Final

from apps.monitoring.alerts.backtest import Span, summary
from apps.monitoring.core import suggest as search
from apps.monitoring.core.clock import isoformat
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.rules import Rule
from apps.monitoring.core.suggest import Suggestion
from apps.monitoring.query.errors import RangeError

_MOST: Final = 40_000_000
"""Values that are held at once: tenants times minutes."""


def suggest(rule: Rule, frames: Iterable[Frame], per_week: float, go_on: Callable[[], None] = lambda: None) -> Suggestion:
    """The threshold with which all tenants together have about ``per_week`` alerts. Raises RangeError when it is too much.

    ``go_on`` is called again and again while thresholds are tried, and ends that when it raises.
    """
    held: list[Frame] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += frame.values.size
        if size > _MOST:
            msg = f"over {_MOST:,} values are too many to try thresholds on: take a shorter range, or one tenant"
            raise RangeError(msg)
    return search.suggest(rule, held, per_week, go_on)


def as_json(rule: Rule, over: Span, per_week: float, found: Suggestion) -> dict[str, Any]:
    """The suggestion as machines read it; ``threshold`` null means that the data do not suffice."""
    return {
        "rule": rule.name,
        "from": isoformat(over.start),
        "to": isoformat(over.end),
        "alerts_per_week": per_week,
        "threshold": found.threshold,
        "recovery_threshold": found.recovery_threshold,
        "unit": rule.unit,
        "reason": found.reason,
        **summary(found.tally),
        "computed_from": asdict(found.evidence),
    }
