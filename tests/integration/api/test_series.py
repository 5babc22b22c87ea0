"""`GET /api/v1/metrics/series`: a statistic step by step."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.monitoring import get_agent_monitor
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.rollup import shards
from tests.integration.api.conftest import Record, bearer
from tests.integration.api.problems import problem
from tests.integration.api.test_schema import check, schema  # noqa: F401 - a fixture

SERIES = "/api/v1/metrics/series"


@pytest.fixture
def hour() -> datetime:
    """The last whole hour."""
    return datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


@pytest.fixture
def span(hour: datetime) -> dict[str, str]:
    return {"from": hour.isoformat(), "to": (hour + timedelta(hours=1)).isoformat()}


@pytest.fixture
def traffic(record: Record, hour: datetime) -> None:
    """Two answers in the first five minutes, by two models, and one in the third."""
    for minute, model, took, cost in ((0, "gpt-4o", 1_000.0, 0.5), (4, "claude", 3_000.0, None), (14, "gpt-4o", 2_000.0, 0.25)):
        when = (hour + timedelta(minutes=minute)).timestamp()
        record("airline", 1, model_used=model, processing_time_ms=took, estimated_cost=cost, timestamp=when)


def read(client: Client, **query: str) -> dict[str, Any]:
    answer = client.get(SERIES, query)
    assert answer.status_code == 200, answer.content
    body: dict[str, Any] = answer.json()
    return body


def values(client: Client, **query: str) -> dict[str, list[Any]]:
    """The first three values of each line, by the value of its label."""
    body = read(client, **query)
    return {next(iter(line["labels"].values()), ""): line["values"][:3] for line in body["series"]}


@pytest.mark.usefixtures("traffic")
@pytest.mark.parametrize("rolled_up", ["live", "rolled up"])
def test_it_says_what_happened_in_each_step(everyone: Client, span: dict[str, str], rolled_up: str) -> None:
    if rolled_up == "rolled up":
        shards.roll_up_all(time.time(), HotStore.from_conf())
    asked = {"tenant": "airline", "step": "5m", **span}
    assert values(everyone, metric="interactions", **asked) == {"": [2, 0, 1]}
    assert values(everyone, metric="response_time", stat="max", **asked) == {"": [3_000.0, None, 2_000.0]}
    assert values(everyone, metric="response_time", stat="p50", **asked)[""] == [
        pytest.approx(1_000, rel=0.01), None, pytest.approx(2_000, rel=0.01)
    ]  # fmt: skip
    assert values(everyone, metric="cost", stat="sum", group_by="model", **asked) == {"gpt-4o": [0.5, None, 0.25]}
    assert values(everyone, metric="model_usage", group_by="model", **asked) == {"gpt-4o": [1, 0, 1], "claude": [1, 0, 0]}
    assert values(everyone, metric="error_rate", **asked) == {"": [0.0, None, 0.0]}
    assert values(everyone, metric="interactions", stat="rate", **asked) == {"": [2 / 300, 0, 1 / 300]}
    body = read(everyone, metric="response_time", stat="p95", **asked)
    assert (body["unit"], body["step_seconds"], len(body["timestamps"])) == ("ms", 300, 12)
    assert (body["complete_until"] is None) is (rolled_up == "live")


@pytest.mark.usefixtures("traffic")
def test_without_a_step_it_is_as_fine_as_a_chart_can_show(everyone: Client, hour: datetime) -> None:
    to = hour + timedelta(hours=1)
    steps = {
        days: read(everyone, metric="interactions", **{"from": (to - timedelta(days=days)).isoformat(), "to": to.isoformat()})
        for days in (0.1, 1, 7, 90)
    }
    assert {days: body["step_seconds"] for days, body in steps.items()} == {0.1: 60, 1: 180, 7: 1_440, 90: 17_280}
    assert {sum(body["series"][0]["values"]) for body in steps.values()} == {3}


def test_metrics_of_the_users_own_have_lines_by_their_labels(everyone: Client, stores: None) -> None:
    for size in ("small", "large", "large"):
        get_agent_monitor("airline").sample("basket", 10.0, size=size)
    assert flush_now()
    lines = read(everyone, metric="user.basket", stat="sum", group_by="size", window="5m", step="1d")["series"]
    assert {line["labels"]["size"]: line["values"][-1] for line in lines} == {"large": 20.0, "small": 10.0}


def test_beyond_fifty_values_of_a_label_the_rest_is_other(everyone: Client, record: Record) -> None:
    for number in range(60):
        record("airline", 1 if number else 3, intent=f"intent-{number}")
    lines = read(everyone, metric="intents", group_by="intent", window="5m", step="1d")["series"]
    found = {line["labels"]["intent"]: sum(line["values"]) for line in lines}
    assert (len(found), found["intent-0"], found["other"]) == (51, 3, 10)


@pytest.mark.usefixtures("traffic")
def test_tenants_are_walls(airline: Client) -> None:
    assert read(airline, metric="interactions")["tenant"] == "airline"
    assert problem(airline.get(SERIES, {"metric": "interactions", "tenant": "retail"}), 403)
    assert problem(bearer("retail").get(SERIES, {"metric": "interactions"}), 404)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "there is no metric ''"),
        ({"metric": "speed"}, "there is no metric 'speed'"),
        ({"metric": "interactions", "stat": "p95"}, "it has count, rate, not p95"),
        ({"metric": "cost", "stat": "forecast"}, "there is no statistic 'forecast'"),
        ({"metric": "cost", "stat": "sum", "group_by": "intent"}, "cost has no label 'intent'"),
        ({"metric": "error_rate", "group_by": "model"}, "error_rate has no label 'model'"),
        ({"metric": "interactions", "step": "7m"}, "does not divide a day"),
        ({"metric": "interactions", "step": "90s"}, "whole minutes"),
        ({"metric": "interactions", "window": "90d", "step": "1m"}, "take a longer step"),
    ],
)
def test_what_cannot_be_answered_says_what_can(everyone: Client, asked: dict[str, str], says: str) -> None:
    assert says in problem(everyone.get(SERIES, asked), 400)


@pytest.mark.usefixtures("stores")
def test_a_tenant_that_nobody_knows_is_no_empty_line(everyone: Client) -> None:
    assert problem(everyone.get(SERIES, {"metric": "interactions", "tenant": "nobody"}), 404)


@pytest.mark.usefixtures("traffic")
def test_the_answer_is_what_the_schema_says(everyone: Client, schema: dict[str, Any]) -> None:  # noqa: F811
    check(schema, SERIES, everyone.get(SERIES, {"metric": "cost", "stat": "sum", "group_by": "model", "window": "3h"}))
    check(schema, SERIES, everyone.get(SERIES, {"metric": "speed"}))
