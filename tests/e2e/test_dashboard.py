"""The page that ops look at, in a real browser against a real server."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission, User
from playwright.sync_api import Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.monitoring import get_agent_monitor
from apps.monitoring.alerts import defaults
from apps.monitoring.alerts.silences import expire
from apps.monitoring.dashboard.login import one_time_login_path
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.models import Alert, AlertRule, AlertTransition, Silence
from apps.monitoring.rollup import shards
from tests.patience import eventually
from tests.sessions import at_rest

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

HOSTILE = "<img src=x onerror=alert(1)>"
MOMENT = datetime(2026, 1, 5, tzinfo=UTC)
NEXT_POLL = 8_000
"""ms: longer than the page waits between two questions."""


@pytest.fixture
def staff(stores: None) -> User:
    return get_user_model().objects.create_superuser("ops", password="correct horse battery")


@pytest.fixture
def complaints(page: Page) -> Iterator[list[str]]:
    """What the browser complains about: broken scripts, and everything that the page's policy forbids."""
    found: list[str] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    yield found
    page.close()


@pytest.fixture
def dashboard(page: Page, live_server: LiveServer, staff: User) -> Iterator[str]:
    """The address that signs in once and shows the page."""
    yield live_server.url + one_time_login_path(staff)
    # What the page asks last is answered before the database is emptied: the two would wait for each other.
    page.close()
    eventually("the server is at rest", at_rest)


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


def fire(tenant: str) -> Alert:
    defaults.create_missing()
    rule = AlertRule.objects.get(name="response-time-p95")
    facts = {"rule": rule, "rule_name": rule.name, "tenant": tenant}
    alert = Alert.objects.create(
        **facts, severity="warning", since=MOMENT, fired_at=MOMENT, value=6_000, threshold=5_000, samples=12
    )
    AlertTransition.objects.create(
        **facts, minute=MOMENT, state="firing", value=6_000, samples=12, notified=True, reason="6000 > 5000", alert=alert
    )
    return alert


def figure(page: Page, title: str) -> Locator:
    """The number of one card."""
    return page.locator(".card", has=page.locator("h2", has_text=title)).locator("b")


def test_a_one_time_link_shows_live_numbers_and_works_once(dashboard: str, page: Page, complaints: list[str]) -> None:
    record("airline", 12, time.time())
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("12")
    expect(figure(page, "Response p95")).to_have_text("1.5 s")
    expect(page.locator("#models")).to_contain_text("gpt-4o")
    assert complaints == []
    page.context.clear_cookies()
    answer = page.goto(dashboard)
    assert answer is not None
    assert answer.status == 403
    expect(page.locator("main")).to_contain_text("used already")


@pytest.mark.parametrize("path", ["MQ/abc", "!!/abc", "MTIzNDU2Nzg5MDEyMzQ1Njc4OTA/abc", "4pi6/abc", "AA/a-b-c"])
def test_a_made_up_link_signs_nobody_in(live_server: LiveServer, page: Page, stores: None, path: str) -> None:
    answer = page.goto(f"{live_server.url}/login/{path}/")
    assert answer is not None
    assert answer.status == 403
    assert page.context.cookies() == []


def test_what_has_no_samples_is_a_dash_and_never_zero(dashboard: str, page: Page, complaints: list[str]) -> None:
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("0")
    for title in ("Response p50", "Response p95", "Response p99", "Cost", "Tokens", "Handoff rate", "Error rate",
                  "Knowledge hits", "Confidence", "Satisfaction"):  # fmt: skip
        expect(figure(page, title)).to_have_text("–")
    expect(page.locator("#chart")).to_contain_text("no rolled-up minute")
    assert complaints == []


def test_the_page_needs_a_member_of_staff(live_server: LiveServer, page: Page, stores: None) -> None:
    page.goto(f"{live_server.url}/dashboard/")
    expect(page.locator("input[name=username]")).to_be_visible()
    assert page.request.get(f"{live_server.url}/dashboard/data").status == 401


def test_who_may_not_view_alerts_is_told_so_beside_the_numbers(page: Page, live_server: LiveServer, stores: None) -> None:
    clerk = get_user_model().objects.create_user("clerk", is_staff=True)
    fire("airline")
    record("airline", 3, time.time())
    page.goto(live_server.url + one_time_login_path(clerk))
    expect(figure(page, "Interactions")).to_have_text("3")
    for panel in ("#firing", "#history"):
        expect(page.locator(panel)).to_contain_text("lacks the permission")
    clerk.user_permissions.add(Permission.objects.get(codename="view_alert"))
    expect(page.locator("#firing")).to_contain_text("for airline", timeout=NEXT_POLL)


def test_new_numbers_appear_without_a_reload_and_a_tenant_can_be_chosen(dashboard: str, page: Page) -> None:
    record("airline", 5, time.time())
    record("retail", 2, time.time())
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("7")
    record("retail", 3, time.time())
    expect(figure(page, "Interactions")).to_have_text("10", timeout=NEXT_POLL)
    page.select_option("select[name=tenant]", "retail")
    expect(figure(page, "Interactions")).to_have_text("5")
    page.reload()
    expect(figure(page, "Interactions")).to_have_text("5")


def test_a_link_to_a_tenant_shows_it_before_its_first_roll_up(dashboard: str, page: Page, live_server: LiveServer) -> None:
    page.goto(dashboard)
    record("new one & co", 4, time.time())
    page.goto(f"{live_server.url}/dashboard/?tenant=new%20one%20%26%20co")
    expect(figure(page, "Interactions")).to_have_text("4")
    expect(page.locator("select[name=tenant]")).to_have_value("new one & co")
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    record("airline", 1, time.time())
    page.select_option("select[name=tenant]", "")
    expect(figure(page, "Interactions")).to_have_text("5")
    expect(page.locator("select[name=tenant] option")).to_have_text(["all together", "new one & co"])


def test_the_spaces_in_the_name_of_a_tenant_stay_as_they_are(dashboard: str, page: Page, live_server: LiveServer) -> None:
    record("a  b", 3, time.time())
    page.goto(dashboard)
    page.goto(f"{live_server.url}/dashboard/?tenant=a%20%20b")
    expect(figure(page, "Interactions")).to_have_text("3")
    record("a  b", 2, time.time())
    expect(figure(page, "Interactions")).to_have_text("5", timeout=NEXT_POLL)


def test_the_chart_breaks_where_there_was_no_answer(dashboard: str, page: Page) -> None:
    now = time.time()
    for minutes_ago in (9, 8, 5, 4, 3):
        record("airline", 2, now - 60 * minutes_ago)
    shards.roll_up_all(now, HotStore.from_conf())
    page.goto(dashboard)
    expect(page.locator("#chart rect")).to_have_count(5)
    expect(page.locator("#chart circle")).to_have_count(5)
    expect(page.locator("#chart polyline")).to_have_count(2)


def test_numbers_that_are_old_say_so(dashboard: str, page: Page, live_server: LiveServer) -> None:
    record("airline", 5, time.time())
    page.goto(dashboard)
    expect(page.locator("#state")).to_contain_text("Live.")
    page.route("**/dashboard/data?*", lambda route: route.abort())
    expect(page.locator("#state.bad")).to_contain_text("are old", timeout=NEXT_POLL)
    expect(figure(page, "Interactions")).to_have_text("5")
    page.unroute("**/dashboard/data?*")
    expect(page.locator("#state")).to_contain_text("Live.", timeout=NEXT_POLL)
    page.context.clear_cookies()
    expect(page.locator("#state.bad")).to_contain_text("signed out", timeout=NEXT_POLL)


def test_a_hot_store_that_is_away_is_told_on_the_page(dashboard: str, page: Page, settings: object) -> None:
    fire("airline")
    record("airline", 3, time.time())
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("3")
    there = settings.REDIS_URL  # type: ignore[attr-defined]
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # type: ignore[attr-defined]
    expect(page.locator("#state.bad")).to_contain_text("hot store does not answer", timeout=NEXT_POLL)
    expect(figure(page, "Interactions")).to_have_text("3")
    fire("retail")
    expect(page.locator("#firing")).to_contain_text("for retail", timeout=NEXT_POLL)
    page.reload()
    expect(page.locator("#state.bad")).to_contain_text("hot store does not answer")
    expect(page.locator("#firing")).to_contain_text("for airline")
    expect(page.locator("#history")).to_contain_text("for retail")
    settings.REDIS_URL = there  # type: ignore[attr-defined]
    expect(page.locator("#state")).to_contain_text("Live.", timeout=NEXT_POLL)


def test_a_tenant_of_whom_nothing_is_known_leaves_the_others_to_choose_from(
    dashboard: str, page: Page, live_server: LiveServer
) -> None:
    record("airline", 1, time.time())
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    page.goto(dashboard)
    page.goto(f"{live_server.url}/dashboard/?tenant=nobody")
    expect(page.locator("#state.bad")).to_contain_text("nothing was ever recorded for tenant 'nobody'")
    page.select_option("select[name=tenant]", "airline")
    expect(figure(page, "Interactions")).to_have_text("1")


def test_a_rule_begins_with_what_is_looked_at(dashboard: str, page: Page) -> None:
    record("airline", 8, time.time())
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    page.goto(dashboard)

    def asked(title: str) -> dict[str, str]:
        address = page.get_by_role("link", name=f"Make a rule on {title}").get_attribute("href")
        return dict(parse_qsl(urlsplit(str(address)).query))

    everybody = {"metric": "interactions", "statistic": "count", "operator": "gt", "threshold": "12", "window_minutes": "15"}
    assert asked("Interactions") == {**everybody, "scope": "global"}
    assert asked("Error rate")["threshold"] == "0.01", "one failure in a quiet minute is no incident"
    assert asked("Model calls")["metric"] == "llm_calls"
    page.select_option("select[name=tenant]", "airline")
    expect(page.locator("#cards a[href*='tenant=airline']")).to_have_count(12)
    assert asked("Interactions") == {**everybody, "tenant": "airline"}
    page.get_by_role("link", name="Make a rule on Interactions").click()
    expect(page.locator("#id_scope")).to_have_value("one_tenant")


def test_on_a_phone_what_fires_comes_first_and_the_chart_ends_with_now(dashboard: str, page: Page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    record("airline", 1, time.time())
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("1")
    firing, cards = (
        page.locator(one).evaluate("element => element.getBoundingClientRect().top") for one in ("#firing", "#cards")
    )
    assert firing < cards
    hidden = (
        "element => element.parentElement.scrollWidth - element.parentElement.clientWidth - element.parentElement.scrollLeft"
    )
    assert page.locator("#chart").evaluate(hidden) < 2


def test_what_fires_is_shown_and_hostile_names_stay_text(dashboard: str, page: Page, complaints: list[str]) -> None:
    fire(HOSTILE)
    record(HOSTILE, 1, time.time())
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    page.goto(dashboard)
    expect(page.locator("#firing")).to_contain_text(f"response-time-p95 for {HOSTILE}")
    expect(page.locator("#firing .figure")).to_have_text(["value", "limit", "6 s", "5 s"])
    expect(page.locator("#history")).to_contain_text(f"response-time-p95 for {HOSTILE}")
    page.select_option("select[name=tenant]", HOSTILE)
    expect(figure(page, "Interactions")).to_have_text("1")
    page.reload()
    expect(figure(page, "Interactions")).to_have_text("1")
    assert page.locator("img").count() == 0
    assert complaints == []


def test_what_is_held_back_says_so(dashboard: str, page: Page) -> None:
    alert = fire("acme")
    now = datetime.now(UTC)
    silence = Silence.objects.create(
        tenants=["acme"],
        author="anna",
        comment="a move",
        starts_at=now - timedelta(minutes=5),
        ends_at=now + timedelta(hours=1),
    )
    page.goto(dashboard)
    said = page.locator("#firing tr", has_text="response-time-p95 for acme")
    expect(said).to_contain_text(f"held back: silence {silence.pk} until {silence.ends_at:%Y-%m-%dT%H:%M}:00Z")
    Alert.objects.filter(pk=alert.pk).update(acknowledged_at=now)
    expect(said).to_contain_text("acknowledged, held back: silence", timeout=NEXT_POLL)
    expire(silence, now)
    expect(said).not_to_contain_text("held back", timeout=NEXT_POLL)


def test_every_heading_of_a_table_says_that_it_is_above_a_column(dashboard: str, page: Page) -> None:
    fire("airline")
    record("airline", 1, time.time())
    page.goto(dashboard)
    expect(page.locator("#firing th[scope=col]")).to_have_count(5)
    expect(page.locator("#models th[scope=col]")).to_have_count(4)
    assert page.locator("th:not([scope])").count() == 0


def test_from_what_fires_to_its_acknowledgement_are_two_clicks(dashboard: str, page: Page) -> None:
    alert = fire("airline")
    page.goto(dashboard)
    page.locator("#firing a").click()
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.locator(".messagelist")).to_contain_text("Acknowledged: 1.")
    alert.refresh_from_db()
    assert alert.acknowledged_at is not None
