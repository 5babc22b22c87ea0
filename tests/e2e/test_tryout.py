"""A rule is tried in its form, in a real browser."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.monitoring.alerts import tryout
from apps.monitoring.core.clock import minute_of
from apps.monitoring.core.frame import Frame
from apps.monitoring.dashboard.login import one_time_login_path
from tests.e2e.test_dashboard import complaints, staff  # noqa: F401 - fixtures
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

NOW = minute_of(datetime.now(UTC).timestamp())
HOSTILE = "<img src=x onerror=alert(1)>"


def test_a_wrong_value_is_told_at_its_field_and_a_suggestion_fills_the_form(
    page: Page,
    live_server: LiveServer,
    staff: object,  # noqa: F811
    complaints: list[str],  # noqa: F811
) -> None:
    slow = {20, 21, 22, 40}
    send(
        *(
            interaction(0, HOSTILE, NOW - 130 + offset, processing_time_ms=9_000.0 if offset in slow else 1_000.0 + offset)
            for offset in range(125)
        )
    )
    roll_up(NOW * 60.0)
    page.goto(live_server.url + one_time_login_path(staff))  # type: ignore[arg-type]
    page.goto(
        f"{live_server.url}/admin/monitoring/alertrule/add/?metric=response_time&statistic=max&threshold=5000&window_minutes=1"
    )
    page.fill("#id_min_samples", "1")
    page.fill("#id_recovery_threshold", "6000")
    page.get_by_role("button", name="Backtest").click()
    expect(page.locator(".field-recovery_threshold ul.try")).to_contain_text("lies on the breaching side of 5000")
    del complaints[:]  # a browser calls every 400 an error
    page.fill("#id_recovery_threshold", "")
    page.get_by_role("button", name="Backtest").click()
    expect(page.locator("#tryout .conclusion")).to_contain_text("It would have fired 2 times, 4 minutes")
    expect(page.locator("ul.try")).to_have_count(0)
    expect(page.locator("#tryout svg .firing")).to_have_count(2)
    expect(page.locator("#tryout .worst")).to_contain_text(HOSTILE)
    expect(page.locator("#tryout .worst th[scope=col]")).to_have_count(5)
    page.fill("#try_per_week", "100")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Use it").click()
    expect(page.locator("#tryout svg")).to_be_visible()
    assert float(page.input_value("#id_threshold")) != 5_000
    assert page.locator("img[src=x]").count() == 0
    assert complaints == []


class Gates:
    """Portions of tenants are read when they are let through: the page can be looked at in between."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        gate = self._gate = threading.Semaphore(0)

        class Gated(tryout.Sweep):
            def __iter__(self) -> Iterator[Frame]:
                assert gate.acquire(timeout=30)
                yield from super().__iter__()

        monkeypatch.setattr(tryout, "Sweep", Gated)
        monkeypatch.setattr(tryout, "_CELLS", 1)
        monkeypatch.setattr(tryout, "SECONDS_AT_MOST", 60.0)

    def open(self, portions: int) -> None:
        self._gate.release(portions)


def test_a_bar_shows_how_far_a_trial_is_and_goes_with_its_answer(
    page: Page,
    live_server: LiveServer,
    staff: object,  # noqa: F811
    complaints: list[str],  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tenants = ("acme", "birch", "cedar", "dune")
    slow = {20, 21, 22, 40}
    send(
        *(
            interaction(0, tenant, NOW - 130 + offset, processing_time_ms=9_000.0 if offset in slow else 1_000.0 + offset)
            for tenant in tenants
            for offset in range(125)
        )
    )
    roll_up(NOW * 60.0)
    page.goto(live_server.url + one_time_login_path(staff))  # type: ignore[arg-type]
    page.goto(
        f"{live_server.url}/admin/monitoring/alertrule/add/?metric=response_time&statistic=max&threshold=5000&window_minutes=1"
    )
    page.fill("#id_min_samples", "1")
    gates, bar, said = Gates(monkeypatch), page.locator("#tryout progress"), page.locator("#tryout .busy .done")
    page.get_by_role("button", name="Backtest").click()
    expect(said).to_have_text("Judging stored minutes: 0 %")
    assert bar.evaluate("bar => bar.value") == 0
    gates.open(1)
    expect(said).to_have_text("Judging stored minutes: 25 %")
    gates.open(2)
    expect(said).to_have_text("Judging stored minutes: 75 %")
    assert bar.evaluate("bar => bar.value") == 0.75
    assert page.get_by_role("button", name="Backtest").is_disabled()
    gates.open(2)  # the last one, and the line that is drawn
    expect(page.locator("#tryout .conclusion")).to_contain_text("It would have fired 8 times")
    expect(bar).to_have_count(0)
    assert page.get_by_role("button", name="Backtest").is_enabled()
    page.get_by_role("button", name="Suggest").click()
    expect(said).to_have_text("Judging stored minutes: 0 %")
    with monkeypatch.context() as held:
        trying = threading.Event()
        held.setattr(tryout.suggest, "suggest", _after(trying, tryout.suggest.suggest))
        gates.open(4)
        expect(said).to_have_text("Trying thresholds …")
        assert bar.get_attribute("value") is None
        trying.set()
        expect(page.locator("#tryout .conclusion")).to_contain_text("threshold", ignore_case=True)
    expect(bar).to_have_count(0)
    assert complaints == []


def _after(event: threading.Event, run: Any) -> Any:
    def waits(*arguments: Any) -> Any:
        assert event.wait(30)
        return run(*arguments)

    return waits
