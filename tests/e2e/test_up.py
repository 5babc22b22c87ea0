"""`manage.py up`: what a newcomer runs first."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from playwright.sync_api import Page, expect

from config.embedded import leftovers
from config.embedded.postgres import _home
from config.embedded.process import free_port
from tests.e2e.parts import ROOT
from tests.patience import eventually

OWN, DEFAULT = "airline-is-slower-than-ever", "response-time-p95"


class Up:
    """A run of everything, on private servers under a state folder of its own."""

    def __init__(self, state: Path, *arguments: str) -> None:
        kept = {k: v for k, v in os.environ.items() if not k.startswith("MONITORING_")}
        self.environment = {k: v for k, v in kept.items() if k not in {"DATABASE_URL", "REDIS_URL", "SECRET_KEY"}}
        self.environment["AGENTMON_STATE"] = str(state)
        self.state, self.data = state, _home(state) / "postgres"
        self.port = free_port()
        self.log = state.with_suffix(".log")
        self.process = self.run("--port", str(self.port), *arguments)

    def run(self, *arguments: str) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "manage.py", "up", *arguments],
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.said()
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=1).status_code == 200
        except httpx.HTTPError:
            return False

    def processes(self) -> list[psutil.Process]:
        """Everything that belongs to this run, wherever it hangs in the tree."""
        mine = []
        for process in psutil.process_iter():
            try:
                # Postgres gets a clean environment; its command line names its data.
                if process.environ().get("AGENTMON_STATE") == str(self.state) or str(self.data) in process.cmdline():
                    mine.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return [p for p in mine if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "state"
    folder.mkdir()
    tmp_path.chmod(0o755)
    yield folder
    for process in psutil.process_iter():
        try:
            if process.environ().get("AGENTMON_STATE") == str(folder):
                process.kill()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    leftovers.end(_home(folder) / "postgres", "postgres", signal.SIGKILL)
    if _home(folder) != folder:
        shutil.rmtree(_home(folder))


@pytest.mark.timeout(360)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_newcomer_makes_a_rule_sees_an_alert_arrive_takes_it_on_and_ctrl_c_stops_everything(state: Path, page: Page) -> None:
    up = Up(state)
    eventually("the web server answers", up.is_ready, 90, up.said)
    link = re.search(r"one-time login +(\S+)", up.said())
    assert link, up.said()
    page.goto(link[1])
    make_a_rule_from_the_chart(page)
    eventually(
        "the sink prints the alert's mail and webhook",
        lambda: {("email", OWN), ("webhook", OWN), ("email", DEFAULT), ("webhook", DEFAULT)} <= arrived(up),
        170,
        up.said,
    )
    take_it_on(page, up)
    read_why(page, f"http://127.0.0.1:{up.port}")
    data = page.request.get(f"http://127.0.0.1:{up.port}/dashboard/data?window=15m").json()
    assert data["summary"]["interactions"]["total"] > 100
    page.close()
    up.process.send_signal(signal.SIGINT)
    assert up.process.wait(30) == 0, up.said()
    eventually("nothing is left", lambda: not up.processes(), 20, lambda: str(up.processes()))


def make_a_rule_from_the_chart(page: Page) -> None:
    """Just above everything that is drawn of one tenant: tried, then saved."""
    page.locator("select[name=tenant] option[value=airline]").wait_for(state="attached", timeout=120_000)
    page.select_option("select[name=tenant]", "airline")
    page.locator("#chart-rule a[href*='threshold='][href*='tenant=airline']").click(timeout=120_000)
    expect(page.locator("#id_name")).to_have_value("response-time-p95-airline")
    expect(page.locator("#id_tenant")).to_have_value("airline")
    page.fill("#id_name", OWN)
    page.fill("#id_window_minutes", "1")
    page.fill("#id_min_samples", "1")
    page.fill("#id_keep_firing_for_minutes", "30")
    page.get_by_role("button", name="Backtest").click()
    expect(page.locator("#tryout .found")).to_contain_text("would", timeout=20_000)
    expect(page.locator("#tryout svg line.threshold")).to_have_count(1)
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".messagelist")).to_contain_text("was added successfully")


def take_it_on(page: Page, up: Up) -> None:
    """By the link in the mail, which the sink prints."""
    mail = next(text for channel, text in boxes(up) if channel == "email" and OWN in text)
    found = re.search(r"(http\S+/acknowledge/\S+/)", mail)
    assert found, mail
    page.goto(found[1])
    page.fill("input[name=note]", "on my way")
    page.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_role("status")).to_contain_text("Acknowledged: 1.")


def read_why(page: Page, address: str) -> None:
    """In the admin, from the alert to its explanation."""
    page.goto(f"{address}/admin/monitoring/alert/?rule_name={OWN}")
    page.locator("#result_list tbody th a").click()
    expect(page.locator("body")).to_contain_text("on my way")
    page.get_by_role("link", name="Explain", exact=True).click()
    expect(page.locator(".conclusion")).to_contain_text("It was told that it fires; this arrived on ")
    expect(page.locator(".steps")).to_contain_text("agrees: firing, told")


def boxes(up: Up) -> list[tuple[str, str]]:
    """What the sink printed: the channel, and the text."""
    return re.findall(r"(email|webhook) arrived(.*?)└─", up.said(), re.DOTALL)


def arrived(up: Up) -> set[tuple[str, str]]:
    """Which rule arrived by which channel."""
    return {(channel, rule) for channel, text in boxes(up) for rule in (OWN, DEFAULT) if rule in text}


def test_a_second_one_says_that_one_is_running(state: Path) -> None:
    up = Up(state, "--no-traffic")
    eventually("the web server answers", up.is_ready, 90, up.said)
    assert up.run().wait(30) == 1
    again = up.said()
    assert f"one is running already: http://127.0.0.1:{up.port}/dashboard/" in again
    first, second = re.findall(r"one-time login  (http\S+)", again)
    with httpx.Client(follow_redirects=True) as visitor:
        assert visitor.get(second).url.path == "/dashboard/"
        assert "manage.py up" in visitor.get(first).text, "whoever was late is told how to get another"
    up.process.terminate()
    up.process.wait(30)
    eventually("nothing is left", lambda: not up.processes(), 20, lambda: str(up.processes()))


def test_a_part_that_crashes_takes_everything_down(state: Path) -> None:
    up = Up(state, "--no-traffic")
    eventually("the web server answers", up.is_ready, 90, up.said)
    beat = next(p for p in up.processes() if "beat" in p.cmdline() and "config.supervisor.part" not in p.cmdline())
    beat.kill()
    assert up.process.wait(40) == 1
    assert "a part ended with exit code" in up.said()
    eventually("nothing is left", lambda: not up.processes(), 20, lambda: str(up.processes()))


@pytest.mark.parametrize("server", ["postgres", "valkey-server"])
def test_a_private_server_that_crashes_takes_everything_down(state: Path, server: str) -> None:
    up = Up(state, "--no-traffic")
    eventually("the web server answers", up.is_ready, 90, up.said)
    keeper = psutil.Process(json.loads((state / "servers.json").read_text())["keeper"])
    next(child for child in keeper.children() if child.name() == server).kill()
    assert up.process.wait(40) == 1
    assert "ended by itself" in up.said()
    assert "a part ended with exit code" in up.said()
    eventually("nothing is left", lambda: not up.processes(), 20, lambda: str([p.cmdline() for p in up.processes()]))


def test_a_killed_supervisor_leaves_nothing_behind(state: Path) -> None:
    up = Up(state, "--no-traffic")
    eventually("the web server answers", up.is_ready, 90, up.said)
    up.process.kill()
    up.process.wait(10)
    eventually("nothing is left", lambda: not up.processes(), 40, lambda: str([p.cmdline() for p in up.processes()]))
