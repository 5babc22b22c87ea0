"""Notifications are written with the decision, and somebody is asked to deliver them after it."""

from __future__ import annotations

import json
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
import redis
from django.db import connection, transaction
from jsonschema import Draft202012Validator
from pytest_django import DjangoAssertNumQueries, Settings

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox
from apps.monitoring.notify.defaults import create_missing_channels
from apps.monitoring.notify.message import Message
from tests.integration.notify.processes import run_apart
from tests.integration.notify.rows import MINUTE, instance, log_channel, rule
from tests.patience import eventually
from tests.sessions import somebody_waits_for_a_lock
from tests.unit.notify.test_message import SCHEMA
from workers.app import app


def payload(identity: UUID) -> dict[str, Any]:
    return dict(Notification.objects.get(pk=identity).payload)


@pytest.mark.django_db
class TestWho:
    def test_a_rule_without_channels_tells_every_default_channel(self) -> None:
        log_channel("a", is_default=True)
        log_channel("b", is_default=True)
        log_channel("c")
        ids = outbox.enqueue(rule(), Notice.FIRING, MINUTE, [instance()])
        assert set(Notification.objects.filter(pk__in=ids).values_list("channel__name", flat=True)) == {"a", "b"}

    def test_a_rule_with_channels_tells_those_alone(self) -> None:
        log_channel("a", is_default=True)
        told = rule()
        told.channels.add(log_channel("b"))
        (identity,) = outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()])
        assert Notification.objects.get(pk=identity).channel.name == "b"

    def test_a_channel_that_is_switched_off_is_not_told_nor_replaced(self) -> None:
        log_channel("a", is_default=True)
        told = rule()
        told.channels.add(log_channel("b", enabled=False))
        assert outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()]) == []

    def test_a_channel_whose_secret_cannot_be_read_stops_no_decision(self, settings: Settings) -> None:
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of before"]
        told = rule()
        told.channels.add(log_channel("a", secrets={"dsn": "x"}), log_channel("b"))
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of now"]
        assert len(outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()])) == 2

    def test_many_tenants_cost_no_more_queries_than_one(self, django_assert_max_num_queries: DjangoAssertNumQueries) -> None:
        told = rule()
        log_channel("a", is_default=True)
        with django_assert_max_num_queries(5):
            outbox.enqueue(told, Notice.FIRING, MINUTE, [instance(f"tenant-{n}") for n in range(500)])


@pytest.mark.django_db
class TestWhat:
    def test_the_payload_fits_the_schema_and_says_why(self) -> None:
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(runbook_url="https://runbooks.example/"), Notice.FIRING, MINUTE, [instance()])
        said = payload(identity)
        Draft202012Validator(SCHEMA).validate(said)
        assert (said["id"], said["kind"], said["minute"]) == (str(identity), "firing", "2026-01-05T00:07:00Z")
        assert said["alerts"] == [
            {
                "tenant": "airline",
                "value": 0.25,
                "samples": 40,
                "since": "2026-01-05T00:03:00Z",
                "reason": "0.25 > 0.1",
                "links": {
                    "dashboard": "https://monitoring.example/dashboard/?tenant=airline&window=15m",
                    "alert": "https://monitoring.example/admin/monitoring/alert/7/change/",
                },
            }
        ]
        assert said["links"]["runbook"] == "https://runbooks.example/"

    def test_the_links_are_those_of_its_one_tenant(self) -> None:
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(), Notice.FIRING, MINUTE, [instance("acme co", alert=7)])
        assert {name: url for name, url in payload(identity)["links"].items() if name != "acknowledge"} == {
            "dashboard": "https://monitoring.example/dashboard/?tenant=acme%20co&window=15m",
            "alert": "https://monitoring.example/admin/monitoring/alert/7/change/",
            "runbook": "",
        }

    @pytest.mark.parametrize("tenants", [[""], ["a", "b"]], ids=["all together", "several"])
    def test_the_link_of_all_names_no_tenant(self, tenants: list[str]) -> None:
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(), Notice.FIRING, MINUTE, [instance(tenant, alert=None) for tenant in tenants])
        links = payload(identity)["links"]
        assert links == {"dashboard": "https://monitoring.example/dashboard/?window=15m", "runbook": ""}

    @pytest.mark.parametrize(
        ("fields", "shown"),
        [
            ({"window_minutes": 1}, "5m"),
            ({"window_minutes": 15}, "1h"),
            ({"window_minutes": 1_000}, "24h"),
            ({"metric": "cost", "statistic": "sum", "budget": "day"}, "24h"),
        ],
    )
    def test_the_dashboard_shows_what_the_rule_saw(self, fields: dict[str, Any], shown: str) -> None:
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(**fields), Notice.FIRING, MINUTE, [instance()])
        assert payload(identity)["links"]["dashboard"].endswith(f"?tenant=airline&window={shown}")

    def test_what_begins_says_what_its_rule_is_for(self) -> None:
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(description="Many interactions fail."), Notice.FIRING, MINUTE, [instance()])
        assert payload(identity)["text"] == (
            "error-rate-5m is firing for airline: error_rate > 10 % over 5 minutes. Many interactions fail."
        )

    def test_a_test_says_that_it_is_one_and_fits_the_schema(self) -> None:
        said = outbox.send_test(log_channel("c-mail")).payload
        Draft202012Validator(SCHEMA).validate(said)
        assert Message.from_payload(said).subject == "[test] Agent monitoring reaches channel c-mail"
        assert said["text"] == "Agent monitoring reaches channel c-mail. This is a test: nothing is wrong."

    @pytest.mark.parametrize(("operator", "worst"), [("gt", 0.99), ("lt", 0.0)])
    def test_many_tenants_are_one_notification_with_the_worst_ten(self, operator: str, worst: float) -> None:
        log_channel("a", is_default=True)
        several = [instance(f"tenant-{n}", n / 100) for n in range(100)]
        (identity,) = outbox.enqueue(rule(operator=operator), Notice.FIRING, MINUTE, several)
        said = payload(identity)
        assert said["count"] == 100
        assert len(said["alerts"]) == 10
        assert said["alerts"][0]["value"] == worst

    def test_a_tenants_name_adds_nothing_to_a_link(self) -> None:
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(), Notice.FIRING, MINUTE, [instance("a&b=c d/../")])
        link = payload(identity)["alerts"][0]["links"]["dashboard"]
        assert link == "https://monitoring.example/dashboard/?tenant=a%26b%3Dc%20d%2F..%2F&window=15m"


@pytest.mark.django_db(transaction=True)
class TestAsking:
    @pytest.fixture
    def queue(self) -> Any:
        """The broker's queue of notifications, emptied."""
        broker = redis.Redis.from_url(app.conf.broker_url or "")
        broker.delete("notifications")
        yield broker
        broker.delete("notifications")
        broker.close()

    def asked(self, queue: redis.Redis) -> list[Any]:
        return [json.loads(json.loads(task)["headers"]["argsrepr"]) for task in queue.lrange("notifications", 0, -1)]

    def test_a_worker_is_asked_after_the_commit_and_not_before(self, queue: redis.Redis) -> None:
        channel, told = log_channel("a", is_default=True), rule()
        with transaction.atomic():
            outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()])
            assert self.asked(queue) == []
        assert self.asked(queue) == [[channel.pk]]

    def test_a_decision_that_is_rolled_back_leaves_nothing(self, queue: redis.Redis) -> None:
        log_channel("a", is_default=True)
        told = rule()
        with transaction.atomic():
            outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()])
            transaction.set_rollback(True)
        assert self.asked(queue) == []
        assert not Notification.objects.exists()

    def test_a_channel_is_asked_once_for_all_that_is_committed_together(self, queue: redis.Redis) -> None:
        first, second = log_channel("a", is_default=True), log_channel("b", is_default=True)
        told, other = rule(), rule(name="other")
        with outbox.asked_once():
            with transaction.atomic():
                outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()])
                outbox.enqueue(other, Notice.FIRING, MINUTE, [instance()])
            assert self.asked(queue) == []
        assert sorted(self.asked(queue)) == sorted([[first.pk], [second.pk]])

    def test_a_channel_is_not_asked_for_what_is_rolled_back_of_it(self, queue: redis.Redis) -> None:
        log_channel("a", is_default=True)
        told = rule()
        with outbox.asked_once(), transaction.atomic(), transaction.atomic():
            outbox.enqueue(told, Notice.FIRING, MINUTE, [instance()])
            transaction.set_rollback(True)
        assert self.asked(queue) == []

    @pytest.mark.parametrize("silent", [False, True], ids=["refuses", "is silent"])
    def test_a_broker_that_is_away_loses_nothing_and_holds_nobody_up(self, *, silent: bool) -> None:
        log_channel("a", is_default=True)
        rule()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            port = listening.getsockname()[1] if silent else 1
            began = time.monotonic()
            said = run_apart(
                "from apps.monitoring.notify.outbox import enqueue, Instance\n"
                "from apps.monitoring.core.lifecycle import Notice\n"
                "from apps.monitoring.models import AlertRule\n"
                f"for minute in range({MINUTE}, {MINUTE + 20}):\n"
                "    enqueue(AlertRule.objects.get(), Notice.FIRING, minute, [Instance('t', 1.0, 1, minute, 'r')])\n",
                CELERY_BROKER_URL=f"redis://127.0.0.1:{port}/1",
            )
        assert said.count("the sweep will find the notification") == 1
        assert Notification.objects.filter(status="pending").count() == 20
        assert time.monotonic() - began < 15


@pytest.mark.django_db(transaction=True)
class TestSendingAgain:
    @pytest.mark.parametrize("became", ["delivered", "leased"])
    def test_what_is_delivered_or_taken_between_the_look_and_the_change_is_left_alone(self, became: str) -> None:
        """The one that delivers holds the row until it commits; who sends again has seen it dead before."""
        log_channel("a", is_default=True)
        (identity,) = outbox.enqueue(rule(), Notice.FIRING, MINUTE, [instance()])
        row = Notification.objects.filter(pk=identity)
        row.update(status="dead", attempts=3)
        sent: list[int] = []

        def send_again() -> None:
            try:
                sent.append(outbox.resend(Notification.objects.all()))
            finally:
                connection.close()

        thread = threading.Thread(target=send_again)
        with transaction.atomic():
            if became == "delivered":
                row.update(status="delivered")
            else:
                row.update(leased_until=datetime.now(UTC) + timedelta(minutes=1))
            thread.start()
            eventually("the other one waits", somebody_waits_for_a_lock, 10)
        thread.join(10)
        assert sent == [0]
        assert row.values_list("status", "attempts").get() == ("delivered" if became == "delivered" else "dead", 3)


@pytest.mark.django_db
class TestDefaults:
    def test_the_log_is_always_there(self) -> None:
        assert create_missing_channels() == ["log"]
        assert create_missing_channels() == []

    def test_the_environment_asks_for_the_others(self, settings: Settings) -> None:
        settings.MONITORING_ALERT_EMAILS = ["ops@example.com"]
        settings.MONITORING_WEBHOOK_URL = "https://hooks.example/"
        settings.MONITORING_WEBHOOK_SECRET = "whsec_" + "A" * 32
        settings.MONITORING_SLACK_WEBHOOK_URL = "https://hooks.slack.com/services/T/B/X"
        settings.MONITORING_PAGERDUTY_ROUTING_KEY = "k" * 32
        settings.SENTRY_DSN = "https://key@sentry.example/1"
        assert create_missing_channels() == ["log", "email", "webhook", "slack", "pagerduty", "sentry"]
        assert Channel.objects.filter(is_default=True).count() == 6

    def test_what_ops_edited_stays(self) -> None:
        create_missing_channels()
        Channel.objects.update(is_default=False, enabled=False)
        create_missing_channels()
        assert not Channel.objects.filter(enabled=True).exists()

    def test_secrets_are_encrypted_at_rest(self, settings: Settings) -> None:
        settings.SENTRY_DSN = "https://key@sentry.example/1"
        create_missing_channels()
        with connection.cursor() as cursor:
            cursor.execute("SELECT secrets, config::text FROM monitoring_channel WHERE name = 'sentry'")
            assert "sentry.example" not in "".join(cursor.fetchone())
        assert Channel.objects.get(name="sentry").secrets == {"dsn": "https://key@sentry.example/1"}
