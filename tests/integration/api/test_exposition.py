"""`GET /metrics`: counters since midnight, in complete minutes, for whom they are."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.monitoring.core.clock import to_minute
from apps.monitoring.models import Channel, Notification, TaskRun
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import MOMENT, fire, rule, staff
from tests.integration.api.scraped import (
    DAY,
    INTERACTIONS,
    METRICS,
    MIDNIGHT,
    OPENMETRICS,
    complete,
    recorded,
    say,
    scrape,
    text,
    value,
)  # fmt: skip
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import send
from tests.unit.ingest.made import event


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.usefixtures("stores")
class TestWalls:
    @pytest.fixture(autouse=True)
    def two_tenants(self, stores: None) -> None:
        say(MIDNIGHT, 3, "airline")
        say(MIDNIGHT, 4, "retail")
        complete(MIDNIGHT + 2)

    def test_a_free_token_reads_all_together_and_how_the_product_does(self, everyone: Client) -> None:
        found = scrape(everyone)
        assert value(found, INTERACTIONS) == 7
        assert value(found, "agentmon_complete_until_timestamp_seconds") == (MIDNIGHT + 2) * 60
        assert not [place for place in found if "tenant" in dict(place[1])]

    def test_by_name_it_reads_those_tenants_and_nothing_else(self, everyone: Client) -> None:
        found = scrape(everyone, "airline", "retail", "airline")
        assert value(found, INTERACTIONS, tenant="airline") == 3
        assert value(found, INTERACTIONS, tenant="retail") == 4
        assert {dict(labels)["tenant"] for _, labels in found} == {"airline", "retail"}

    def test_a_bound_token_reads_its_own_and_nothing_of_the_machinery(self, airline: Client) -> None:
        found = scrape(airline)
        assert value(found, INTERACTIONS) == 3
        assert recorded(found) == found
        assert value(scrape(airline, "airline"), INTERACTIONS, tenant="airline") == 3
        assert scrape(bearer("nobody")) == {}

    @pytest.mark.parametrize("asked", [["retail"], ["nobody"], ["airline", "retail"], ["a\0b"]])
    def test_another_tenant_is_refused_in_the_same_words_whether_it_exists_or_not(
        self, airline: Client, asked: list[str]
    ) -> None:
        assert problem(airline.get(METRICS, {"tenant": asked}), 403) == "The token is bound to another tenant."

    def test_a_tenant_that_is_not_known_has_no_samples(self, everyone: Client) -> None:
        assert scrape(everyone, "nobody", "a\0b", "x" * 5_000) == {}
        assert {dict(labels)["tenant"] for _, labels in scrape(everyone, "nobody", "retail")} == {"retail"}

    def test_fifty_tenants_are_the_most(self, everyone: Client) -> None:
        assert scrape(everyone, *(f"t-{number}" for number in range(50))) == {}
        answer = everyone.get(METRICS, {"tenant": [f"t-{number}" for number in range(51)]})
        problem(answer, 400)
        assert answer.json()["errors"]["tenant"] == ["There are 51 of them, and 50 at most in one scrape."]

    def test_a_parameter_that_there_is_not_is_refused(self, everyone: Client) -> None:
        problem(everyone.get(METRICS, {"tenent": "airline"}), 400)
        problem(everyone.get(METRICS, {"name[]": INTERACTIONS}), 400)

    def test_without_a_token_it_is_a_401_and_without_being_staff_a_403(self, client: Client, django_user_model: Any) -> None:
        problem(client.get(METRICS), 401)
        problem(client.get(METRICS, headers={"authorization": "Bearer amt_wrong"}), 401)
        client.force_login(django_user_model.objects.create_user("visitor"))
        problem(client.get(METRICS), 403)
        assert value(scrape(staff()), INTERACTIONS) == 7

    def test_it_is_only_read(self, everyone: Client) -> None:
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            problem(everyone.generic(method, METRICS), 405)
        answer = everyone.head(METRICS)
        assert (answer.status_code, answer.content) == (200, b"")

    def test_alerts_that_fire_are_told_to_whom_they_are_about(self, everyone: Client, airline: Client) -> None:
        slow = rule("slow", severity="critical")
        for tenant in ("airline", "retail", ""):
            fire(slow, tenant)
        fire(rule("theirs"), "retail")
        name, of_slow = "agentmon_alerts_firing", {"rule": "slow", "severity": "critical"}
        assert value(scrape(everyone), name, **of_slow) == 3
        assert {place: found for place, found in scrape(airline).items() if place[0] == name} == {
            (name, tuple(of_slow.items())): 1
        }
        by_name = scrape(everyone, "airline", "retail")
        assert value(by_name, name, **of_slow, tenant="airline") == 1
        assert value(by_name, name, rule="theirs", severity="warning", tenant="retail") == 1
        assert value(by_name, name, rule="theirs", severity="warning", tenant="airline") is None


@pytest.mark.usefixtures("stores")
class TestMidnight:
    def test_the_whole_day_stands_there_for_a_minute_and_then_it_begins_anew(self, everyone: Client) -> None:
        say(MIDNIGHT - DAY + 5, 2)
        say(MIDNIGHT - 1, 3)
        say(MIDNIGHT, 40)
        for until, counted, since in (
            (MIDNIGHT - 1, 2, MIDNIGHT - DAY),
            (MIDNIGHT, 5, MIDNIGHT - DAY),
            (MIDNIGHT + 1, 0, MIDNIGHT),
            (MIDNIGHT + 2, 40, MIDNIGHT),
        ):
            complete(until)
            found = scrape(everyone, accept=OPENMETRICS)
            assert value(found, INTERACTIONS) == counted
            assert value(found, "agentmon_interactions_created") == since * 60

    def test_what_there_was_the_day_before_begins_at_zero(self, everyone: Client) -> None:
        say(MIDNIGHT - 1, intent="refund", confidence_score=0.9, estimated_cost=0.5, processing_time_ms=2_000)
        send(
            event("knowledge_search", (MIDNIGHT - 1) * 60.0, "airline"), event("user_metric", (MIDNIGHT - 1) * 60.0, "airline")
        )
        complete(MIDNIGHT)
        assert value(scrape(everyone), "agentmon_intents_total", intent="refund") == 1
        for until in (MIDNIGHT + 1, MIDNIGHT + 2, MIDNIGHT + DAY):
            complete(until)
            found = recorded(scrape(everyone))
            assert set(found.values()) == {0}
            assert value(found, "agentmon_intents_total", intent="refund") == 0
            assert value(found, "agentmon_response_time_seconds_bucket", le="5.0") == 0
            assert value(found, "agentmon_user_carts_total", country="de") == 0
            assert not [place for place in found if "since_midnight" in place[0]], "a sum of nothing that may fall is not known"
        complete(MIDNIGHT + DAY + 1)
        assert recorded(scrape(everyone)) == {}

    def test_a_late_record_of_today_counts_and_one_of_yesterday_does_not(self, everyone: Client) -> None:
        say(MIDNIGHT, 2)
        complete(MIDNIGHT + 10)
        say(MIDNIGHT - 1, 5)
        say(MIDNIGHT + 3, 1)
        complete(MIDNIGHT + 11)
        assert value(scrape(everyone), INTERACTIONS) == 3

    def test_no_number_falls_within_a_day(self, everyone: Client) -> None:
        chance, seen = random.Random(5), {}
        for minute in range(MIDNIGHT + 1, MIDNIGHT + 7):
            for late in {minute, max(MIDNIGHT, minute - 3)}:
                say(late, chance.randrange(1, 900), handoff_triggered=True, estimated_cost=chance.random())
            complete(minute + 1)
            found = {place: one for place, one in recorded(scrape(everyone)).items() if "since_midnight" not in place[0]}
            assert all(found[place] >= one for place, one in seen.items())
            assert found.keys() >= seen.keys()
            seen = found

    def test_many_conversations_become_an_estimate_and_never_fewer(self, everyone: Client) -> None:
        seen = 0.0
        for minute in range(12):
            send(
                *[
                    interaction(4_050 + 10 * minute - n, "airline", MIDNIGHT + minute)
                    for n in range(4_050 if minute == 0 else 10)
                ]
            )
            complete(MIDNIGHT + minute + 2)
            found = value(scrape(everyone), "agentmon_conversations_total")
            assert found is not None
            assert found >= seen
            assert found == pytest.approx(4_050 + 10 * minute, rel=0.02)
            seen = found


@pytest.mark.usefixtures("stores")
def test_without_any_roll_up_there_is_nothing_but_that(everyone: Client, airline: Client) -> None:
    found = scrape(everyone)
    assert recorded(found) == {}
    assert value(found, "agentmon_complete_until_timestamp_seconds") is None
    assert (value(found, "agentmon_healthy"), value(found, "agentmon_part_healthy", part="rollup")) == (0, 0)
    assert text(airline) == ""


def test_while_the_hot_store_is_away_every_complete_minute_is_there(everyone: Client, settings: Any) -> None:
    say(MIDNIGHT, 3)
    complete(MIDNIGHT + 2)
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = scrape(everyone)
    assert value(found, INTERACTIONS) == 3
    assert value(found, "agentmon_part_healthy", part="hot_store") == 0
    assert value(found, "agentmon_part_healthy", part="database") == 1
    assert value(found, "agentmon_hot_store_batches") is None


def test_a_hot_store_that_hangs_takes_a_second(everyone: Client, settings: Any, silent: int) -> None:
    say(MIDNIGHT, 3)
    complete(MIDNIGHT + 2)
    settings.REDIS_URL = f"redis://127.0.0.1:{silent}/0"
    began = time.monotonic()
    assert value(scrape(everyone), "agentmon_part_healthy", part="hot_store") == 0
    assert time.monotonic() - began < 3


@pytest.mark.usefixtures("database_away")
def test_without_the_database_it_is_a_503(client: Client) -> None:
    problem(client.get(METRICS, headers={"authorization": "Bearer amt_x"}), 503)


@pytest.mark.usefixtures("stores")
def test_the_product_says_what_waits_and_what_failed(everyone: Client) -> None:
    now = timezone.now()
    ops = Channel.objects.create(name='o"ps', kind="log", failing_since=now)
    for status, number in (("pending", 2), ("dead", 1), ("delivered", 3)):
        for _ in range(number):
            Notification.objects.create(channel=ops, kind="firing", status=status, minute=now, next_attempt_at=now, payload={})
    Notification.objects.filter(status="pending").update(created_at=now - timedelta(seconds=90))
    rule("broken", error="no such thing")
    say(to_minute(now))
    found = scrape(everyone)
    assert value(found, "agentmon_notifications", status="pending") == 2
    assert value(found, "agentmon_notifications", status="dead") == 1
    assert value(found, "agentmon_notifications", status="delivered") is None
    assert value(found, "agentmon_oldest_pending_notification_age_seconds") == pytest.approx(90, abs=20)
    assert value(found, "agentmon_channel_failing", channel='o"ps') == 1
    assert value(found, "agentmon_rule_in_error", rule="broken") == 1
    assert value(found, "agentmon_hot_store_batches") == 1


@pytest.mark.usefixtures("stores")
def test_a_task_says_when_it_last_succeeded(everyone: Client) -> None:
    TaskRun.objects.create(name="evaluate", started_at=MOMENT, succeeded_at=MOMENT)
    TaskRun.objects.create(name="never", started_at=MOMENT)
    found = scrape(everyone)
    assert value(found, "agentmon_task_last_success_timestamp_seconds", task="evaluate") == MOMENT.timestamp()
    assert value(found, "agentmon_task_last_success_timestamp_seconds", task="never") is None
    assert value(found, "agentmon_part_healthy", part="tasks") == 0
