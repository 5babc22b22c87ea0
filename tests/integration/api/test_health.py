"""What a load balancer asks."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.monitoring.alerts import defaults
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import AlertRule, Channel, Notification, ShardProgress, TaskRun
from apps.monitoring.rollup import shards
from apps.monitoring.runs import track
from tests.integration.api.rows import staff

ALL_OK = dict.fromkeys(["database", "hot_store", "rollup", "evaluation", "tasks"], "ok")


@pytest.fixture
def working(stores: None) -> None:
    """A roll-up ran just now."""
    shards.roll_up_all(time.time(), HotStore.from_conf())


@pytest.fixture
def signed_in(stores: None) -> Client:
    client = staff("view_alert")
    client.raise_request_exception = False
    return client


def readiness(client: Client) -> tuple[int, dict[str, str]]:
    answer = client.get("/readyz")
    body = answer.json()
    assert (answer.status_code == 200) == (body["status"] == "ok")
    return answer.status_code, body["dependencies"]


def test_a_process_without_any_dependency_is_alive(client: Client, database_away: None, hot_store_away: None) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_it_is_ready_when_everything_does_its_work(client: Client, working: None) -> None:
    assert readiness(client) == (200, ALL_OK)


def test_a_stale_token_does_not_make_it_unready(working: None) -> None:
    assert readiness(Client(headers={"authorization": "Bearer amt_old"})) == (200, ALL_OK)


def test_a_hot_store_that_is_away_is_named(client: Client, working: None, hot_store_away: None) -> None:
    assert readiness(client) == (503, {**ALL_OK, "hot_store": "failing"})


def test_behind_a_database_that_is_away_nothing_is_known(client: Client, working: None, database_away: None) -> None:
    unknown = dict.fromkeys(["rollup", "evaluation", "tasks"], "unknown")
    assert readiness(client) == (503, {"database": "failing", "hot_store": "ok", **unknown})


def test_whoever_is_signed_in_asks_the_database_of_nothing(stores: None, django_assert_num_queries: Any) -> None:
    signed_in = staff("view_alert")
    with django_assert_num_queries(0):
        assert signed_in.get("/healthz").status_code == 200


@pytest.mark.parametrize(
    ("path", "code"),
    [("/healthz", 200), ("/readyz", 503), ("/api/v1/alerts", 503), ("/dashboard/data", 503), ("/nowhere", 404)],
)
def test_whoever_is_signed_in_is_told_that_the_database_is_away(
    signed_in: Client, database_away: None, path: str, code: int
) -> None:
    answer = signed_in.get(path)
    assert (answer.status_code, "Server Error" in answer.content.decode()) == (code, False)


def test_before_the_first_roll_up_it_is_not_ready(client: Client, stores: None) -> None:
    assert readiness(client) == (503, {**ALL_OK, "rollup": "failing"})


def test_a_roll_up_that_is_behind_is_named(client: Client, working: None) -> None:
    ShardProgress.objects.filter(shard=3).update(complete_until=timezone.now() - timedelta(minutes=6))
    assert readiness(client) == (503, {**ALL_OK, "rollup": "failing"})


def test_periodic_tasks_that_no_longer_run_are_named(client: Client, working: None) -> None:
    TaskRun.objects.create(name="evaluate", started_at=timezone.now() - timedelta(minutes=6))
    assert readiness(client) == (503, {**ALL_OK, "tasks": "failing"})


def test_what_ops_have_to_mend_does_not_take_the_page_away_where_they_mend_it(client: Client, working: None) -> None:
    defaults.create_missing()
    with track("evaluate"):
        evaluate(time.time())
    AlertRule.objects.filter(name="error-rate-5m").update(error="it cannot be read", error_since=timezone.now())
    channel = Channel.objects.create(name="gone", kind="log")
    Notification.objects.create(
        channel=channel, kind="test", minute=timezone.now(), payload={}, status="dead", next_attempt_at=timezone.now()
    )
    assert readiness(client) == (200, ALL_OK)
