"""When the dashboard asks for newer numbers, and what it says when they do not come. The browser's clock is moved, not waited for."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.test_dashboard import NEXT_POLL, dashboard, figure, record, staff  # noqa: F401 - fixtures

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

DATA = "**/dashboard/data?*"
POLL = 5_000
"""ms between two questions."""
SOON = 500
"""ms in which a question that the page has asked reaches us."""
HIDDEN = "Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });"
HIDE = HIDDEN + "document.dispatchEvent(new Event('visibilitychange'));"
SHOW = "delete document.hidden; document.dispatchEvent(new Event('visibilitychange'));"


@pytest.fixture
def questions(page: Page) -> list[str]:
    """Every question that the page has asked."""
    found: list[str] = []
    page.on("request", lambda request: found.append(request.url) if "/dashboard/data?" in request.url else None)
    return found


def wait_a_minute(page: Page) -> None:
    page.clock.fast_forward(60_000)
    page.wait_for_timeout(SOON)


def show(page: Page) -> None:
    with page.expect_request(DATA):
        page.evaluate(SHOW)


def test_a_page_that_is_hidden_while_an_answer_is_under_way_stops_to_ask(
    dashboard: str,  # noqa: F811
    page: Page,
    questions: list[str],
) -> None:
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.clock.install()
    record("airline", 5, time.time())
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("5")
    record("airline", 3, time.time())
    page.route(DATA, hold, times=1)
    with page.expect_request(DATA):
        page.clock.fast_forward(POLL)
    page.evaluate(HIDE)
    held[0].continue_()
    expect(figure(page, "Interactions")).to_have_text("8")
    wait_a_minute(page)
    assert len(questions) == 1
    show(page)
    assert len(questions) == 2


def test_a_tab_that_is_opened_in_the_background_asks_when_it_is_shown(
    dashboard: str,  # noqa: F811
    page: Page,
    questions: list[str],
) -> None:
    page.add_init_script(HIDDEN)
    page.clock.install()
    record("airline", 5, time.time())
    page.goto(dashboard)
    expect(figure(page, "Interactions")).to_have_text("5")
    wait_a_minute(page)
    assert questions == []
    show(page)
    with page.expect_request(DATA):
        page.clock.fast_forward(POLL)


def test_a_server_that_hangs_is_told_and_asked_again(dashboard: str, page: Page) -> None:  # noqa: F811
    page.clock.install()
    page.goto(dashboard)
    expect(page.locator("#state")).to_contain_text("Live.")
    page.route(DATA, lambda _: None, times=1)
    with page.expect_request(DATA):
        page.clock.fast_forward(POLL)
    page.clock.fast_forward(16_000)
    expect(page.locator("#state.bad")).to_have_text("The server does not answer. The numbers below are old.")
    expect(page.locator("#state:not(.bad)")).to_contain_text("Live.", timeout=NEXT_POLL)


def test_the_state_is_announced_when_it_changes_and_not_with_each_poll(
    dashboard: str,  # noqa: F811
    page: Page,
) -> None:
    page.clock.install()
    page.goto(dashboard)
    expect(page.get_by_role("status")).to_have_text("Live.")
    page.evaluate(
        """() => {
            window.announced = [];
            const state = document.querySelector("[role=status]");
            new MutationObserver(() => announced.push(state.textContent)).observe(state, { childList: true });
        }"""
    )
    for tenant, shown in (("airline", "1"), ("retail", "2")):
        record(tenant, 1, time.time())
        page.clock.fast_forward(POLL)
        expect(figure(page, "Interactions")).to_have_text(shown, timeout=2 * NEXT_POLL)
    page.route(DATA, lambda route: route.abort())
    page.clock.fast_forward(POLL)
    expect(page.get_by_role("status")).to_contain_text("are old")
    assert page.evaluate("announced") == ["The server does not answer. The numbers below are old."]
