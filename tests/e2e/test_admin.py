"""The admin's pages, in a real browser."""

from __future__ import annotations

import time

import pytest
from playwright.sync_api import Page, expect
from pytest_django.live_server_helper import LiveServer

from apps.monitoring.dashboard.login import one_time_login_path
from tests.e2e.test_dashboard import staff  # noqa: F401 - a fixture
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def test_what_is_kept_fits_a_phone(page: Page, live_server: LiveServer, staff: object) -> None:  # noqa: F811
    send(interaction(0, "acme", int(time.time()) // 60 - 10))
    roll_up(time.time())
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(live_server.url + one_time_login_path(staff))  # type: ignore[arg-type]
    page.goto(f"{live_server.url}/admin/monitoring/retentionfloor/")
    for more in page.locator("summary").all():
        more.click()
    expect(page.locator("#other-tables")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    unreachable = "table => table.parentElement.scrollWidth < table.offsetWidth"  # what is wider is scrolled to
    assert not [table for table in page.locator("#changelist table").all() if table.evaluate(unreachable)]
