"""Totals over rows: sums as they are, percentiles as nearest rank."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from tests.oracle.recording import Interaction


@dataclass(frozen=True)
class Totals:
    """What a summary over these rows must say; None where no row says anything."""

    interactions: int
    answered: int
    failed: int
    conversations: int
    handoffs: int
    handoff_conversations: int
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: Decimal | None
    cost_by_model: dict[str, Decimal]
    without_tokens: int
    unpriced: int
    response_times: tuple[float, ...]

    def percentile(self, percent: int) -> float | None:
        return nearest_rank(self.response_times, percent)


def totals(rows: Sequence[Interaction]) -> Totals:
    costs = [row.cost for row in rows if row.cost is not None]
    by_model: dict[str, Decimal] = {}
    for row in rows:
        if row.cost is not None and row.model is not None:
            by_model[row.model] = by_model.get(row.model, Decimal(0)) + row.cost
    return Totals(
        interactions=len(rows),
        answered=sum(row.answered for row in rows),
        failed=sum(row.failed for row in rows),
        conversations=len({row.thread for row in rows}),
        handoffs=sum(row.handoff for row in rows),
        handoff_conversations=len({row.thread for row in rows if row.handoff}),
        prompt_tokens=_sum(row.prompt_tokens for row in rows),
        completion_tokens=_sum(row.completion_tokens for row in rows),
        cost=sum(costs, Decimal(0)) if costs else None,
        cost_by_model=by_model,
        without_tokens=sum(row.prompt_tokens is None or row.completion_tokens is None for row in rows),
        unpriced=sum(row.cost is None for row in rows),
        response_times=tuple(sorted(row.response_ms for row in rows if row.response_ms is not None)),
    )


def nearest_rank(ordered: Sequence[float], percent: int) -> float | None:
    """The smallest value that at least ``percent`` of the values do not exceed; None of nothing."""
    return ordered[max(1, math.ceil(percent * len(ordered) / 100)) - 1] if ordered else None


def _sum(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
