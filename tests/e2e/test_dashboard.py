"""The page that ops look at, in a real browser against a real server."""

from __future__ import annotations

import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.monitoring import get_agent_monitor
from apps.monitoring.alerts import defaults
from apps.monitoring.dashboard.login import one_time_login_path
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.models import Alert, AlertRule
from apps.monitoring.rollup import shards

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def staff(stores: None) -> User:
    return get_user_model().objects.create_superuser("ops", password="correct horse battery")


def record(tenant: str, number: int, at: float, milliseconds: float = 1_500.0) -> None:
    monitor = get_agent_monitor(tenant)
    for index in range(number):
        monitor.log_and_record_interaction(
            conversation_id=f"c{index}",
            agent_response="an answer",
            model_used="gpt-4o",
            processing_time_ms=milliseconds,
            timestamp=at,
        )
    assert flush_now()


def test_a_one_time_link_shows_live_numbers_and_works_once(live_server: LiveServer, page: Page, staff: User) -> None:
    record("airline", 12, time.time())
    link = live_server.url + one_time_login_path(staff)
    page.goto(link)
    expect(page.locator(".card", has_text="Interactions").locator("b")).to_have_text("12")
    expect(page.locator(".card", has_text="Response p95").locator("b")).to_have_text("1.5 s")
    expect(page.locator(".card", has_text="Cost").locator("b")).to_have_text("–")
    page.context.clear_cookies()
    answer = page.goto(link)
    assert answer is not None
    assert answer.status == 403


def test_the_page_needs_a_member_of_staff(live_server: LiveServer, page: Page, stores: None) -> None:
    page.goto(f"{live_server.url}/dashboard/")
    expect(page.locator("input[name=username]")).to_be_visible()


def test_new_numbers_appear_without_a_reload_and_a_tenant_can_be_chosen(
    live_server: LiveServer, page: Page, staff: User
) -> None:
    record("airline", 5, time.time())
    record("retail", 2, time.time())
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    page.goto(live_server.url + one_time_login_path(staff))
    total = page.locator(".card", has_text="Interactions").locator("b")
    expect(total).to_have_text("7")
    record("retail", 3, time.time())
    expect(total).to_have_text("10", timeout=8_000)
    page.select_option("select[name=tenant]", "retail")
    expect(total).to_have_text("5")


def test_what_fires_is_shown_and_hostile_names_stay_text(live_server: LiveServer, page: Page, staff: User) -> None:
    defaults.create_missing()
    rule = AlertRule.objects.get(name="response-time-p95")
    hostile = "<img src=x onerror=alert(1)>"
    moment = "2026-01-05T00:00:00Z"
    Alert.objects.create(
        rule=rule,
        rule_name=rule.name,
        tenant=hostile,
        severity="warning",
        since=moment,
        fired_at=moment,
        value=6_000,
        threshold=5_000,
    )
    page.goto(live_server.url + one_time_login_path(staff))
    expect(page.locator("#firing")).to_contain_text(f"response-time-p95 for {hostile}")
    assert page.locator("#firing img").count() == 0
