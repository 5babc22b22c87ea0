"""What the dashboard shows beside the numbers."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.monitoring.dashboard import panels
from tests.integration.api import rows

pytestmark = pytest.mark.django_db


def test_the_worst_comes_first_and_figures_have_their_unit() -> None:
    slow = rows.rule()
    failing = rows.rule("failing", metric="error_rate", statistic="ratio", threshold=0.0028)
    rows.fire(slow, "acme", severity="warning")
    rows.fire(failing, "acme", severity="critical", value=0.0055249, threshold=0.0028)
    rows.fire(slow, "birch", severity="info", value=None)
    shown = [(one["severity"], one["seen"], one["limit"]) for one in panels.firing(None, timezone.now())]
    assert shown == [("critical", "0.552 %", "0.28 %"), ("warning", "6 s", "5 s"), ("info", None, "5 s")]


def test_an_alert_whose_rule_was_deleted_has_plain_figures() -> None:
    slow = rows.rule()
    alert = rows.fire(slow, "acme")
    slow.delete()
    alert.refresh_from_db()
    assert (alert.seen, alert.limit) == ("6000", "5000")
