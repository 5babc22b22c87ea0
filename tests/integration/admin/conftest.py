"""A rule, a channel, and an hour to try rules on."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.monitoring.alerts import defaults
from apps.monitoring.models import AlertRule, Channel
from tests.integration.admin.pages import staff
from tests.integration.admin.rows import SECRET
from tests.integration.admin.trials import NOW, START
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import roll_up, send


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


@pytest.fixture
def played() -> None:
    """An hour: acme is slow for ten minutes, and again for two; birch for three; cedar never."""
    slow = {"acme": {*range(20, 30), 35, 36}, "birch": {40, 41, 42}, "cedar": set()}
    send(
        *(
            interaction(0, tenant, START + offset, processing_time_ms=9_000.0 if offset in own else 1_000.0 + offset)
            for tenant, own in slow.items()
            for offset in range(55)
        )
    )
    roll_up(NOW * 60.0)


@pytest.fixture
def ops(stores: None) -> Client:
    return staff("add_alertrule", "change_alertrule", "view_alertrule")
