"""What the admin shows."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

from django.utils import timezone

from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, Channel, Notification

MOMENT = datetime(2026, 1, 5, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()


def fire(rule: AlertRule, tenant: str) -> Alert:
    alert = Alert.objects.create(
        rule=rule, rule_name=rule.name, tenant=tenant, severity=rule.severity, since=MOMENT, fired_at=MOMENT, value=6_000,
        threshold=5_000, samples=12,
    )  # fmt: skip
    AlertState.objects.create(rule=rule, tenant=tenant, status="firing", since=MOMENT, announced=True, alert=alert)
    AlertTransition.objects.create(
        rule=rule, rule_name=rule.name, tenant=tenant, minute=MOMENT, state="firing", value=6_000, samples=12, notified=True,
        reason="6000 > 5000", alert=alert,
    )  # fmt: skip
    return alert


def announce(rule: AlertRule | None, channel: Channel, **more: Any) -> Notification:
    values = {"kind": "firing", "minute": MOMENT, "payload": {"rule": {"name": "r"}}, "next_attempt_at": timezone.now()}
    return Notification.objects.create(rule=rule, channel=channel, **{**values, **more})
