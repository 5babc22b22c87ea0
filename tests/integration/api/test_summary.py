"""`GET /api/v1/metrics/summary`: the numbers, live to the second."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from apps.monitoring import get_agent_monitor
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.rollup import shards
from tests.integration.api.conftest import Record
from tests.integration.api.problems import problem

SUMMARY = "/api/v1/metrics/summary"


def read(client: Client, **query: str) -> dict[str, Any]:
    answer = client.get(SUMMARY, query)
    assert answer.status_code == 200, answer.content
    assert answer["content-type"] == "application/json"
    body: dict[str, Any] = answer.json()
    return body


def test_what_was_flushed_a_moment_ago_is_in_the_answer(everyone: Client, record: Record) -> None:
    record("airline", 4, model_used="gpt-4o", estimated_cost=0.25, intent="refund", confidence_score=0.5)
    body = read(everyone, tenant="airline")
    assert body["interactions"] == {"total": 4, "answered": 4}
    assert body["cost"]["by_model"] == {"gpt-4o": 1.0}
    assert body["model_usage"] == {"gpt-4o": {"count": 4, "share": 1.0, "cost_usd": 1.0}}
    assert body["intents"] == [{"intent": "refund", "count": 4, "share": 1.0}]
    assert body["response_time"]["p95_ms"] == pytest.approx(1_500, rel=0.01)
    assert body["complete_until"] is None


def test_rolling_up_changes_nothing_but_the_watermark(everyone: Client, record: Record) -> None:
    record("airline", 4, estimated_cost=0.1, handoff_triggered=True, handoff_reason="angry")
    moment = datetime.now(UTC)
    span = {"from": (moment - timedelta(minutes=5)).isoformat(), "to": (moment + timedelta(minutes=1)).isoformat()}
    before = read(everyone, tenant="airline", **span)
    shards.roll_up_all(time.time() + 70, HotStore.from_conf())
    after = read(everyone, tenant="airline", **span)
    assert after.pop("complete_until") is not None
    assert before.pop("complete_until") is None
    assert after == before


def test_a_statistic_without_samples_is_null_and_never_zero(everyone: Client, record: Record) -> None:
    record("airline", 1, agent_response=None, processing_time_ms=None)
    body = read(everyone, tenant="airline")
    assert body["response_time"]["p95_ms"] is None
    assert body["cost"]["total_usd"] is None
    assert body["cost"]["unpriced_interactions"] == 1
    assert body["token_usage"]["total_tokens"] is None
    assert body["knowledge_base"]["hit_rate"] is None
    assert body["errors"]["error_rate"] == 1.0


def test_an_empty_range_of_a_known_tenant_is_an_answer(everyone: Client, record: Record) -> None:
    record("airline")
    body = read(everyone, **{"tenant": "airline", "from": "2020-01-01T00:00:00Z", "to": "2020-01-02T00:00:00Z"})
    assert body["interactions"]["total"] == 0
    assert body["handoff"]["handoff_rate"] is None


def test_the_start_is_included_and_the_end_is_not(everyone: Client, stores: None) -> None:
    for moment in ("2026-01-05T00:00:00+00:00", "2026-01-05T00:01:59.999+00:00", "2026-01-05T00:02:00+00:00"):
        get_agent_monitor("airline").log_and_record_interaction(
            conversation_id="c", agent_response="yes", timestamp=datetime.fromisoformat(moment)
        )
    assert flush_now()
    body = read(everyone, **{"from": "2026-01-05T00:00:00Z", "to": "2026-01-05T00:02:00Z"})
    assert body["interactions"]["total"] == 2
    assert (body["from"], body["to"]) == ("2026-01-05T00:00:00Z", "2026-01-05T00:02:00Z")


@pytest.mark.parametrize("start", ["2026-01-05T02:00:00+02:00", "2026-01-05T00:00:00Z", "2026-01-04T18:30:00-05:30"])
def test_any_zone_names_the_same_moment(everyone: Client, start: str) -> None:
    span = urlencode({"from": start, "to": "2026-01-05T01:00:00Z"})
    assert everyone.get(f"{SUMMARY}?{span}").json()["from"] == "2026-01-05T00:00:00Z"


def test_a_plus_that_nobody_escaped_is_still_a_plus(everyone: Client) -> None:
    answer = everyone.get(f"{SUMMARY}?from=2026-01-05T02:00:00+02:00&to=2026-01-05T01:00:00Z")
    assert answer.json()["from"] == "2026-01-05T00:00:00Z"


def test_without_a_range_it_is_the_last_hour(everyone: Client) -> None:
    body = read(everyone)
    span = datetime.fromisoformat(body["to"]) - datetime.fromisoformat(body["from"])
    assert span == timedelta(minutes=61)  # whole minutes that cover the hour


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("window=soon", "window"),
        ("window=0m", "window"),
        ("window=-5m", "window"),
        ("window=999999w", "window"),
        ("window=1h&from=2026-01-05T00:00:00Z", "both"),
        ("to=2026-01-05T00:00:00Z", "from"),
        ("from=yesterday", "from"),
        ("from=", "from"),
        ("from=2026-01-05T00:00:00", "zone"),
        ("from=2026-01-05T00:00:00Z&to=soon", "to"),
        ("from=2026-01-05T00:00:00Z&to=2026-01-05T00:00:00Z", "empty"),
        ("from=2026-01-06T00:00:00Z&to=2026-01-05T00:00:00Z", "empty"),
        ("from=2000-01-01T00:00:00Z&to=2026-01-01T00:00:00Z", "days"),
        ("from=9999-99-99T00:00:00Z", "from"),
        ("from=0001-01-01T00:00:00%2B14:00", "from"),
        ("from=%00", "from"),
        ("from=9999-12-31T23:00:00Z&to=9999-12-31T23:59:59Z", "years 1970 to 8999"),
        ("from=2026-01-05T00:00:00Z&to=9999-12-31T23:59:59Z", "years 1970 to 8999"),
        ("from=1969-12-31T23:59:59Z", "years 1970 to 8999"),
        ("from=2026-01-05", "write 2026-01-05T00:00:00Z or 2026-01-05T00:00:00+02:00"),
    ],
)
def test_a_range_that_cannot_be_read_says_why(everyone: Client, query: str, named: str) -> None:
    assert named in problem(everyone.get(f"{SUMMARY}?{query}"), 400)
