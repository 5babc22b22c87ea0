"""A threshold that is suggested from stored minutes, held against a backtest of it."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.monitoring.alerts import suggest
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.api.trial import Bound
from apps.monitoring.core.clock import isoformat
from apps.monitoring.models import AlertRule
from apps.monitoring.query.errors import RangeError
from tests.integration.alerts.judged import FAST, answered, end_of, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")

HOURS = 3
PEAKS = {20: 2_000.0, 60: 3_000.0, 100: 4_000.0, 140: 5_000.0}
WEEKLY = 7 * 24 / HOURS
"""Alerts a week that are one alert in what is stored."""


@pytest.fixture
def stored() -> AlertRule:
    for offset in range(HOURS * 60):
        send(*answered(PEAKS.get(offset, FAST), offset=offset))
    roll_up(end_of(HOURS * 60))
    return rule(threshold=1e9)


def run(command: str, *arguments: str) -> str:
    out = io.StringIO()
    over = (f"--from={isoformat(MINUTE)}", f"--to={isoformat(MINUTE + HOURS * 60)}")
    try:
        call_command(command, "slow", *over, *arguments, stdout=out)
    except SystemExit as ended:
        out.write(f"exit {ended.code}")
    return out.getvalue()


def suggested(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("suggest_threshold", "--json", *arguments))
    return found


def test_the_time_of_one_request_is_that_of_reading_and_trying_together(stored: AlertRule) -> None:
    rule = stored.definition()
    frames = list(Sweep(rule, MINUTE, MINUTE + HOURS * 60))
    for ticks in ([0.0, 16.0], [0.0, *[14.0] * (len(frames) + 1), 16.0]):
        bound = Bound(iter(ticks).__next__)
        with pytest.raises(RangeError, match="more than 15 seconds is too much for one request: take a shorter range"):
            suggest.suggest(rule, bound.frames(frames), WEEKLY, bound.in_time)


@pytest.mark.parametrize(("alerts", "beyond"), [(1, 4_000), (2, 3_000), (3, 2_000)])
def test_a_backtest_of_what_is_suggested_fires_as_often_as_wished(stored: AlertRule, alerts: int, beyond: float) -> None:
    found = suggested(f"--alerts-per-week={alerts * WEEKLY}")
    assert beyond < found["threshold"] < beyond + 1_000
    assert (found["fired"], found["unit"]) == (alerts, "ms")
    assert found["computed_from"]["values"] == HOURS * 60
    tried = json.loads(run("backtest", "--json", f"--threshold={found['threshold']}"))
    assert (tried["fired"], tried["summary"]) == (found["fired"], found["summary"])
    stored.refresh_from_db()
    assert stored.threshold == 1e9


def test_people_read_the_threshold_and_what_it_is_computed_from(stored: AlertRule) -> None:
    first, second = run("suggest_threshold", f"--alerts-per-week={WEEKLY}").splitlines()
    assert first.startswith("slow: ")
    assert "would have fired 1 time, 1 minute" in first
    assert second.startswith("computed from 180 values of 1 tenants over 180 minutes, ")


def test_data_that_do_not_suffice_are_said_not_to(stored: AlertRule) -> None:
    told = run("suggest_threshold", "--alerts-per-week=1")
    assert "slow: no threshold, there are values of 0.125 day" in told
    assert told.endswith("exit 1")


def test_more_than_can_be_held_is_refused(stored: AlertRule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suggest, "_MOST", 100)
    with pytest.raises(CommandError, match="take a shorter range, or one tenant"):
        run("suggest_threshold", "--alerts-per-week=1")
