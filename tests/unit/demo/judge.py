"""The default rules, computed plainly from what the monitor was told."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

from tests.unit.demo.ledger import Ledger

Said = dict[str, Any]


def percentile(values: Sequence[float], share: float) -> float:
    """By nearest rank."""
    return sorted(values)[math.ceil(share * len(values)) - 1]


def response_times(interactions: Sequence[Said]) -> list[float]:
    return [said["processing_time_ms"] for said in interactions if said["agent_response"] is not None]


def conversations(interactions: Sequence[Said]) -> set[str]:
    return {said["conversation_id"] for said in interactions}


def cost(interactions: Sequence[Said]) -> float:
    return sum(said["estimated_cost"] or 0 for said in interactions) / len(conversations(interactions))


def handoffs(interactions: Sequence[Said]) -> float:
    handed_over = conversations([said for said in interactions if said["handoff_triggered"]])
    return len(handed_over) / len(conversations(interactions))


def errors(interactions: Sequence[Said]) -> float:
    return sum(bool(said["errors"]) or said["agent_response"] is None for said in interactions) / len(interactions)


def misses(searches: Sequence[Said]) -> float:
    return sum(said["result_count"] == 0 for said in searches) / len(searches)


# By name: what it looks at, the window in minutes, the value, and what it must not pass.
RULES: dict[str, tuple[str, int, Callable[[Sequence[Said]], float], float]] = {
    "response-time-p95": ("interaction", 5, lambda said: percentile(response_times(said), 0.95), 5_000),
    "response-time-p99": ("interaction", 5, lambda said: percentile(response_times(said), 0.99), 10_000),
    "cost-per-conversation-high": ("interaction", 5, cost, 0.10),
    "cost-per-conversation-very-high": ("interaction", 5, cost, 0.25),
    "handoff-rate-high": ("interaction", 5, handoffs, 0.30),
    "handoff-rate-very-high": ("interaction", 5, handoffs, 0.50),
    "knowledge-hit-rate-low": ("knowledge_search", 5, misses, 0.50),
    "error-rate-5m": ("interaction", 5, errors, 0.10),
    "error-rate-15m": ("interaction", 15, errors, 0.05),
}


def breaches(ledger: Ledger, minutes: int, tenants: Sequence[str]) -> dict[tuple[str, str], list[int]]:
    """By rule and tenant: the minutes it is broken in. The minute is named by its start."""
    by_minute: dict[tuple[str, str, int], list[Said]] = defaultdict(list)
    for what in ("interaction", "knowledge_search"):
        for told in ledger.of(what):
            by_minute[what, told.tenant, told.minute].append(told.said)
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    for tenant, (rule, (what, window, value, limit)), minute in product(tenants, RULES.items(), range(minutes)):
        inside = [said for m in range(minute - window + 1, minute + 1) for said in by_minute.get((what, tenant, m), ())]
        samples = len(response_times(inside)) if rule.startswith("response-time") else len(inside)
        if samples >= 10 and value(inside) > limit:
            found[rule, tenant].append(minute)
    return dict(found)
