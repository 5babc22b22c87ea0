"""What a decision writes."""

from __future__ import annotations

from typing import Any

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.models import Alert, AlertRule, Channel
from apps.monitoring.notify.outbox import Instance

MINUTE = 29_459_527  # 2026-01-05T00:07:00Z


def rule(**fields: Any) -> AlertRule:
    return AlertRule.objects.create(
        **{"name": "error-rate-5m", "metric": "error_rate", "statistic": "ratio", "operator": "gt", "threshold": 0.1} | fields
    )


def log_channel(name: str, **fields: Any) -> Channel:
    return Channel.objects.create(name=name, kind="log", **fields)


def instance(tenant: str = "airline", value: float | None = 0.25, alert: int | None = 7) -> Instance:
    return Instance(tenant, value, 40, MINUTE - 4, "0.25 > 0.1", alert)


def alert(told: AlertRule, tenant: str = "airline") -> Alert:
    """An episode that began with the example's breach."""
    since = to_datetime(MINUTE - 4)
    return Alert.objects.create(
        rule=told, rule_name=told.name, tenant=tenant, severity=told.severity, since=since, fired_at=to_datetime(MINUTE),
        value=0.25, threshold=0.1, samples=40,
    )  # fmt: skip
