"""What the API lists, made and asked for."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client

from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, Silence

MOMENT = datetime(2026, 1, 5, tzinfo=UTC)
SECRET = "whsec_" + base64.b64encode(b"s" * 32).decode()
RULE: dict[str, Any] = {"name": "slow", "metric": "response_time", "statistic": "p95", "operator": "gt", "threshold": 5_000}


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """A request with JSON."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return client.generic(method, f"/api/v1/{path}", content, content_type="application/json", headers=headers)


def staff(*permissions: str, csrf: bool = False) -> Client:
    """A member of staff who may do this and nothing else."""
    user = get_user_model().objects.create_user(f"clerk-{get_user_model().objects.count()}", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="monitoring", codename__in=permissions))
    client = Client(enforce_csrf_checks=csrf)
    client.force_login(user)
    return client


def rule(name: str = "slow", **more: Any) -> AlertRule:
    return AlertRule.objects.create(**{**RULE, "name": name, **more})


def fire(rule: AlertRule, tenant: str, *, at: datetime = MOMENT, **more: Any) -> Alert:
    alert = Alert.objects.create(
        **{
            "rule": rule, "rule_name": rule.name, "tenant": tenant, "severity": rule.severity, "since": at, "fired_at": at,
            "value": 6_000, "threshold": 5_000, "samples": 12, **more,
        }
    )  # fmt: skip
    if alert.resolved_at is None:
        AlertState.objects.create(rule=rule, tenant=tenant, status="firing", since=at, announced=True, alert=alert)
    AlertTransition.objects.create(
        rule=rule, rule_name=rule.name, tenant=tenant, minute=at, state="firing", value=6_000, samples=12, notified=True,
        reason="6000 > 5000", alert=alert,
    )  # fmt: skip
    return alert


def silence(*tenants: str, **more: Any) -> Silence:
    made = Silence(
        **{"tenants": list(tenants), "author": "anna", "comment": "why", "starts_at": MOMENT,
           "ends_at": datetime.now(UTC) + timedelta(hours=1), **more}
    )  # fmt: skip
    made.save()
    return made
