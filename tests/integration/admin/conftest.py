"""A rule and a channel."""

from __future__ import annotations

from typing import Any

import pytest

from apps.monitoring.alerts import defaults
from apps.monitoring.models import AlertRule, Channel
from tests.integration.admin.rows import SECRET


@pytest.fixture
def rule() -> AlertRule:
    defaults.create_missing()
    return AlertRule.objects.get(name="response-time-p95")


@pytest.fixture
def webhook(settings: Any) -> Channel:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["127.0.0.1:9000"]
    return Channel.objects.create(
        name="hook", kind="webhook", config={"url": "http://127.0.0.1:9000/"}, secrets={"secret": SECRET}
    )
