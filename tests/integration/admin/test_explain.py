"""The page that says why, and the ways that lead to it."""

from __future__ import annotations

import html
import re

import pytest
from django.test import Client

from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.models import Alert, AlertRule, AlertTransition, AuditEntry
from tests.integration.admin.pages import HOME, HOSTILE, page, staff
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, play, rule
from tests.integration.ingest.hot import MINUTE


@pytest.fixture
def fired(stores: None) -> AlertRule:
    channel()
    one = rule()
    AuditEntry.objects.update(at=to_datetime(MINUTE - 1))
    play({0: answered(FAST), 1: answered(SLOW, offset=1)}, until=2)
    return one


@pytest.fixture
def ops(stores: None) -> Client:
    return staff("view_alertrule", "view_alert", "view_alerttransition", "change_alertrule")


def test_the_alert_each_line_of_the_history_and_the_rule_lead_to_the_page_that_says_why(fired: AlertRule, ops: Client) -> None:
    alert = Alert.objects.get()
    for path in (f"alert/{alert.pk}/change/", "alerttransition/"):
        address = re.search(rf'href="({HOME}/alertrule/{fired.pk}/explain/\?[^"]+)"', page(ops, path))
        assert address, path
        said = ops.get(html.unescape(address[1])).content.decode()
        assert "It was told that it fires" in said
        assert "9000 &gt; 5000" in said
        assert f"manage.py explain slow --tenant acme --at {isoformat(MINUTE + 1)}" in said
    assert f'href="{HOME}/alertrule/{fired.pk}/explain/"' in page(ops, f"alertrule/{fired.pk}/change/")
    asked = page(ops, f"alertrule/{fired.pk}/explain/")
    assert 'value="acme"' in asked
    assert f'value="{isoformat(MINUTE + 1)[:16]}"' in asked


def test_what_cannot_be_explained_is_said_on_the_page(fired: AlertRule, ops: Client) -> None:
    path = f"alertrule/{fired.pk}/explain/"
    assert "is not judged yet: minutes are complete until" in page(ops, f"{path}?tenant=acme&minute=2026-01-05T10:00")
    assert "every tenant on its own: name one" in page(ops, f"{path}?minute=2026-01-05T00:00")
    assert "Enter a valid date/time" in page(ops, f"{path}?minute=noon")
    assert HOSTILE not in page(ops, f"{path}?tenant={HOSTILE}&minute=2026-01-05T00:00")


@pytest.mark.parametrize("minute", ["0001-01-01T00:00", "9999-12-31T23:59"])
def test_a_minute_that_never_is_is_said_on_the_page(fired: AlertRule, ops: Client, minute: str) -> None:
    assert "lies outside the years" in page(ops, f"alertrule/{fired.pk}/explain/?tenant=acme&minute={minute}")


def test_who_may_not_see_rules_is_told_nothing(fired: AlertRule) -> None:
    client = staff("view_alert")
    assert client.get(f"{HOME}/alertrule/{fired.pk}/explain/?tenant=acme&minute=2026-01-05T00:01").status_code == 403
    assert Client().get(f"{HOME}/alertrule/{fired.pk}/explain/").status_code == 302


def test_a_line_of_a_deleted_rule_leads_nowhere(fired: AlertRule, ops: Client) -> None:
    fired.delete()
    assert AlertTransition.objects.exists()
    assert "/explain/?" not in page(ops, "alerttransition/")
