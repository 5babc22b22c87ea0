"""The rules that every installation starts with. Ops edit them in the admin; they are never overwritten."""

from __future__ import annotations

from typing import Any, Final

from apps.monitoring.core.rules import Operator, Scope, Severity, Statistic
from apps.monitoring.models import AlertRule

DEFAULT_RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "response-time-p95",
        "description": "Answers take long: one in twenty over 5 seconds.",
        "metric": "response_time",
        "statistic": Statistic.P95,
        "operator": Operator.GT,
        "threshold": 5_000.0,
        "severity": Severity.WARNING,
    },
    {
        "name": "response-time-p99",
        "description": "Answers take very long: one in a hundred over 10 seconds.",
        "metric": "response_time",
        "statistic": Statistic.P99,
        "operator": Operator.GT,
        "threshold": 10_000.0,
        "severity": Severity.ERROR,
    },
    {
        "name": "cost-per-conversation-high",
        "description": "A conversation costs over 10 cents.",
        "metric": "cost_per_conversation",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.10,
        "severity": Severity.WARNING,
    },
    {
        "name": "cost-per-conversation-very-high",
        "description": "A conversation costs over 25 cents.",
        "metric": "cost_per_conversation",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.25,
        "severity": Severity.ERROR,
    },
    {
        "name": "handoff-rate-high",
        "description": "Over 30 % of the conversations go to a human.",
        "metric": "handoff_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.30,
        "severity": Severity.WARNING,
    },
    {
        "name": "handoff-rate-very-high",
        "description": "Over half of the conversations go to a human.",
        "metric": "handoff_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.50,
        "severity": Severity.CRITICAL,
    },
    {
        "name": "knowledge-hit-rate-low",
        "description": "Over half of the searches of the knowledge base find nothing.",
        "metric": "knowledge_hit_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.LT,
        "threshold": 0.50,
        "severity": Severity.WARNING,
    },
    {
        "name": "error-rate-5m",
        "description": "Over 10 % of the interactions fail.",
        "metric": "error_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.10,
        "severity": Severity.CRITICAL,
    },
    {
        "name": "error-rate-15m",
        "description": "Over 5 % of the interactions fail, for a while.",
        "metric": "error_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.05,
        "window_minutes": 15,
        "severity": Severity.ERROR,
    },
    {
        "name": "model-price-unknown",
        "description": "Tokens of a model whose price nobody knows: its cost is missing from every total.",
        "metric": "unknown_prices",
        "statistic": Statistic.COUNT,
        "operator": Operator.GT,
        "threshold": 0.0,
        "window_minutes": 60,
        "min_samples": 1,
        "cooldown_minutes": 1_440,
        "scope": Scope.GLOBAL,
        "severity": Severity.WARNING,
    },
)


def create_missing() -> list[str]:
    """Create the default rules that do not exist; returns their names."""
    existing = set(AlertRule.objects.values_list("name", flat=True))
    missing = [rule for rule in DEFAULT_RULES if rule["name"] not in existing]
    for rule in missing:
        AlertRule(**rule).save()
    return [rule["name"] for rule in missing]
