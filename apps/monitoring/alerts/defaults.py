"""The rules that every installation starts with. Ops edit them in the admin; they are never overwritten."""

from __future__ import annotations

from typing import Any, Final

from apps.monitoring.core.rules import Operator, Scope, Severity, Statistic
from apps.monitoring.models import AlertRule

DEFAULT_RULES: Final[tuple[dict[str, Any], ...]] = (
    {
        "name": "response-time-p95",
        "description": "Answers take long: the slowest one in twenty.",
        "metric": "response_time",
        "statistic": Statistic.P95,
        "operator": Operator.GT,
        "threshold": 5_000.0,
        "severity": Severity.WARNING,
    },
    {
        "name": "response-time-p99",
        "description": "Answers take very long: the slowest one in a hundred.",
        "metric": "response_time",
        "statistic": Statistic.P99,
        "operator": Operator.GT,
        "threshold": 10_000.0,
        "severity": Severity.ERROR,
    },
    {
        "name": "cost-per-conversation-high",
        "description": "Conversations cost more than they should.",
        "metric": "cost_per_conversation",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.10,
        "severity": Severity.WARNING,
    },
    {
        "name": "cost-per-conversation-very-high",
        "description": "Conversations cost far more than they should.",
        "metric": "cost_per_conversation",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.25,
        "severity": Severity.ERROR,
    },
    {
        "name": "handoff-rate-high",
        "description": "Many conversations go to a human.",
        "metric": "handoff_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.30,
        "severity": Severity.WARNING,
    },
    {
        "name": "handoff-rate-very-high",
        "description": "Very many conversations go to a human.",
        "metric": "handoff_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.50,
        "severity": Severity.CRITICAL,
    },
    {
        "name": "knowledge-hit-rate-low",
        "description": "Many searches of the knowledge base find nothing.",
        "metric": "knowledge_hit_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.LT,
        "threshold": 0.50,
        "severity": Severity.WARNING,
    },
    {
        "name": "error-rate-5m",
        "description": "Many interactions fail.",
        "metric": "error_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.10,
        "severity": Severity.CRITICAL,
    },
    {
        "name": "error-rate-15m",
        "description": "More interactions fail than should, and have for a while.",
        "metric": "error_rate",
        "statistic": Statistic.RATIO,
        "operator": Operator.GT,
        "threshold": 0.05,
        "window_minutes": 15,
        "severity": Severity.ERROR,
    },
    {
        "name": "model-price-unknown",
        "description": "Nobody knows the price of a model, so its cost is missing from every total. The dashboard's table of "
        "models shows which: it has no cost there. MONITORING_PRICES takes its price.",
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
