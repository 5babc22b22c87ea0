"""The default rules, each as the few lines that it is in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.oracle.recording import Interaction
from tests.oracle.totals import nearest_rank

Seen = tuple[float | None, int]
"""The value of a window, None when there is none, and the number of samples it is made of."""

MIN_SAMPLES = 10
COOLDOWN = 15


@dataclass(frozen=True)
class DefaultRule:
    """``sign`` is 1 when a value above the threshold breaches, -1 when one below does. ``window`` in minutes."""

    name: str
    look: Callable[[Sequence[Interaction]], Seen]
    threshold: float
    sign: int = 1
    window: int = 5

    def measure(self, window: Sequence[Interaction]) -> Seen:
        """The value, unless there are too few samples: then there is none."""
        value, samples = self.look(window)
        return (value, samples) if samples >= MIN_SAMPLES else (None, samples)

    def breached(self, value: float | None) -> bool:
        return value is not None and self.sign * (value - self.threshold) > 0


def response_time(percent: int) -> Callable[[Sequence[Interaction]], Seen]:
    def look(window: Sequence[Interaction]) -> Seen:
        times = sorted(row.response_ms for row in window if row.response_ms is not None)
        return nearest_rank(times, percent), len(times)

    return look


def cost_per_conversation(window: Sequence[Interaction]) -> Seen:
    """Priced cost over all conversations; unknown when nothing has a price."""
    costs = [row.cost for row in window if row.cost is not None]
    value = float(sum(costs) / len({row.thread for row in window})) if costs else None
    return value, len(window)


def handoff_rate(window: Sequence[Interaction]) -> Seen:
    if not window:
        return None, 0
    return len({row.thread for row in window if row.handoff}) / len({row.thread for row in window}), len(window)


def error_rate(window: Sequence[Interaction]) -> Seen:
    return (sum(row.failed for row in window) / len(window) if window else None), len(window)


def hit_rate(window: Sequence[Interaction]) -> Seen:
    searches = [found for row in window for found in row.results_of_searches]
    return (sum(found > 0 for found in searches) / len(searches) if searches else None), len(searches)


DEFAULT_RULES = (
    DefaultRule("response-time-p95", response_time(95), 5_000),
    DefaultRule("response-time-p99", response_time(99), 10_000),
    DefaultRule("cost-per-conversation-high", cost_per_conversation, 0.10),
    DefaultRule("cost-per-conversation-very-high", cost_per_conversation, 0.25),
    DefaultRule("handoff-rate-high", handoff_rate, 0.30),
    DefaultRule("handoff-rate-very-high", handoff_rate, 0.50),
    DefaultRule("knowledge-hit-rate-low", hit_rate, 0.50, sign=-1),
    DefaultRule("error-rate-5m", error_rate, 0.10),
    DefaultRule("error-rate-15m", error_rate, 0.05, window=15),
)
