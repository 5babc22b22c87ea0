"""Backtests and suggestions over the API say what the commands say."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client

from apps.monitoring.api import trial
from apps.monitoring.core.clock import isoformat
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, Notification, Series
from tests.integration.alerts.judged import FAST, SLOW, answered, play, rule
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import send
from tests.integration.ingest.hot import MINUTE

OVER = {"from": isoformat(MINUTE), "to": isoformat(MINUTE + 8)}
VALUES: dict[str, Any] = {
    "metric": "response_time", "statistic": "max", "operator": "gt", "threshold": 5_000.0, "window_minutes": 1,
    "min_samples": 1, "cooldown_minutes": 5,
}  # fmt: skip


@pytest.fixture
def played(stores: None) -> AlertRule:
    """Eight minutes of two tenants, of which one is slow twice."""
    slow = {1, 2, 5}
    minutes = {
        offset: [*answered(SLOW if offset in slow else FAST, "airline", offset), *answered(FAST, "retail", offset)]
        for offset in range(8)
    }
    play(minutes, 8)
    return rule()


def fired(answer: Any) -> dict[str | None, int]:
    assert answer.status_code == 200, answer.content
    return {one["tenant"]: one["fired"] for one in answer.json()["instances"]}


def written() -> list[int]:
    return [model.objects.count() for model in (Alert, AlertRule, AlertState, AlertTransition, Notification)]


def test_a_backtest_is_that_of_the_command_and_writes_nothing(everyone: Client, played: AlertRule) -> None:
    before = written()
    said = StringIO()
    call_command("backtest", "slow", "--json", f"--from={OVER['from']}", f"--to={OVER['to']}", stdout=said)
    answer = send(everyone, "POST", f"rules/{played.pk}/backtest", OVER)
    assert answer.json() == json.loads(said.getvalue())
    assert fired(answer) == {"airline": 2}
    assert written() == before


def test_other_values_are_tried_and_not_saved(everyone: Client, played: AlertRule) -> None:
    path = f"rules/{played.pk}/backtest"
    assert fired(send(everyone, "POST", path, {**OVER, "rule": {"threshold": 50}})) == {"airline": 1, "retail": 1}
    assert fired(send(everyone, "POST", path, {**OVER, "rule": {"tenant": "retail", "threshold": 50}})) == {"retail": 1}
    assert fired(send(everyone, "POST", path, {**OVER, "rule": {"scope": "global"}})) == {None: 2}
    assert AlertRule.objects.get().threshold == 5_000


def test_a_rule_that_is_not_saved_is_tried(everyone: Client, played: AlertRule) -> None:
    assert fired(send(everyone, "POST", "rules/backtest", {**OVER, "rule": VALUES})) == {"airline": 2}
    whole = everyone.get(f"/api/v1/rules/{played.pk}").json()
    assert fired(send(everyone, "POST", "rules/backtest", {**OVER, "rule": whole})) == {"airline": 2}


def test_a_suggestion_is_that_of_the_command(everyone: Client, played: AlertRule) -> None:
    said = StringIO()
    arguments = ["slow", "--json", "--alerts-per-week=3", f"--from={OVER['from']}", f"--to={OVER['to']}"]
    with pytest.raises(SystemExit):  # eight minutes do not suffice
        call_command("suggest_threshold", *arguments, stdout=said)
    answer = send(everyone, "POST", f"rules/{played.pk}/suggest", {**OVER, "alerts_per_week": 3})
    assert answer.json() == json.loads(said.getvalue())
    unsaved = send(everyone, "POST", "rules/suggest", {**OVER, "alerts_per_week": 3, "rule": VALUES}).json()
    assert {**unsaved, "rule": "slow"} == answer.json()
    problem(send(everyone, "POST", f"rules/{played.pk}/suggest", OVER), 400)


def test_too_much_is_refused_before_the_server_is_busy_for_minutes(
    everyone: Client, played: AlertRule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_MOST", 10)
    assert "shorter range" in problem(send(everyone, "POST", f"rules/{played.pk}/backtest", OVER), 400)


@pytest.fixture
def stuck(played: AlertRule) -> Iterator[None]:
    """Nobody can read the snapshots."""
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE monitoring_metricsnapshot")
        yield


@pytest.mark.parametrize(("what", "more"), [("backtest", {}), ("suggest", {"alerts_per_week": 3})])
@pytest.mark.parametrize("tenant", [None, "airline"])
def test_a_statement_of_the_database_is_given_up_when_the_time_of_the_request_is_over(
    played: AlertRule, stuck: None, what: str, more: dict[str, Any], tenant: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_SECONDS", 0.5)
    asks = bearer(tenant) if tenant else bearer()
    for path, body in ((f"rules/{played.pk}/{what}", OVER), (f"rules/{what}", {**OVER, "rule": VALUES})):
        if tenant and str(played.pk) in path:
            continue  # a token bound to a tenant does not see a rule for all of them
        began = time.monotonic()
        answer = send(asks, "POST", path, {**body, **more})
        assert 0.5 < time.monotonic() - began < 3
        assert problem(answer, 503) == (
            "the database took longer than 0.5 s: take a shorter range or one tenant, or the command in manage.py, which has no such "
            "limit"
        )
        assert answer["Retry-After"] == "5"


class TestOfOneTenant:
    def test_it_is_tried_on_this_tenant_alone(self, played: AlertRule) -> None:
        airline = bearer("airline")
        assert fired(send(airline, "POST", "rules/backtest", {**OVER, "rule": VALUES})) == {"airline": 2}
        everything = {**VALUES, "threshold": 50}
        assert fired(send(airline, "POST", "rules/backtest", {**OVER, "rule": everything})) == {"airline": 1}
        own = rule("own", scope="one_tenant", tenant="airline")
        assert fired(send(airline, "POST", f"rules/{own.pk}/backtest", {**OVER, "rule": {"threshold": 50}})) == {"airline": 1}


@pytest.mark.django_db
class TestOfAnother:
    @pytest.mark.parametrize("other", ["retail", "nobody"])
    def test_another_tenant_is_refused_in_the_same_words_whether_it_exists_or_not(self, other: str) -> None:
        airline, values = bearer("airline"), {**VALUES, "tenant": other}
        Series.objects.create(tenant="retail", metric="response_time")
        for what, more in (("backtest", {}), ("suggest", {"alerts_per_week": 3})):
            refused = problem(send(airline, "POST", f"rules/{what}", {**OVER, **more, "rule": values}), 403)
            assert refused == "The token is bound to another tenant."

    @pytest.mark.parametrize("scope", ["every_tenant", "global"])
    def test_a_wider_scope_is_refused(self, scope: str) -> None:
        problem(send(bearer("airline"), "POST", "rules/backtest", {**OVER, "rule": {**VALUES, "scope": scope}}), 403)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"rule": {"metric": "pigeons"}}, "metric"),
        ({"rule": {"threshold": "high"}}, "threshold"),
        ({"rule": {"treshold": 5}}, "treshold"),
        ({"rule": []}, None),
        ({"rule": None}, None),
        ({"window": "soon"}, None),
        ({"window": "1d", "from": "2026-01-05T00:00:00Z"}, None),
        ({"from": "2026-01-05T00:00:00"}, None),
        ({"from": "2026-01-05T00:00:00Z", "to": "2026-01-04T00:00:00Z"}, None),
        ({"to": "2026-01-05T00:00:00Z"}, None),
        ({"window": "60s"}, None),
    ],
)
def test_what_cannot_be_tried_is_said(reader: Client, body: dict[str, Any], where: str | None) -> None:
    refused = send(reader, "POST", f"rules/{rule().pk}/backtest", body)
    problem(refused, 400)
    if where:
        assert set(refused.json()["errors"]["rule"]) == {where}
    problem(send(reader, "POST", "rules/backtest", {"rule": {}, **body}), 400)
