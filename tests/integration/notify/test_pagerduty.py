"""Events to a PagerDuty that checks them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.channels.pagerduty.channel import PagerDutyChannel, trigger
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread
from tests.sinks import faults
from tests.sinks.example import RULE, alert, message, thread
from tests.sinks.receiver import Receiver

KEY = "0123456789abcdef" * 2


def deliver(receiver: Receiver, sent: Message | None = None, threads: Sequence[Thread] = ()) -> Outcome:
    return PagerDutyChannel().deliver(sent or message(), {"url": receiver.pagerduty_url}, {"routing_key": KEY}, threads)


def actions(receiver: Receiver) -> list[tuple[str, str]]:
    return [(arrival.body["event_action"], arrival.body["dedup_key"]) for arrival in receiver.arrivals("pagerduty")]


class TestTheEvents:
    def test_a_firing_opens_an_incident_under_its_own_id(self, receiver: Receiver) -> None:
        sent = message()
        assert deliver(receiver, sent) == Delivered()
        (arrival,) = receiver.arrivals("pagerduty")
        assert (arrival.body["event_action"], arrival.body["dedup_key"], arrival.body["routing_key"]) == (
            "trigger",
            sent.id,
            KEY,
        )
        event = arrival.body["payload"]
        assert (event["severity"], event["source"], event["component"]) == ("critical", "monitoring.example", "airline")
        assert event["summary"].startswith("[critical] error-rate-5m firing for airline: error_rate > 10 % over 5 minutes")
        assert event["custom_details"]["alerts"][0]["value"] == 0.25
        assert {"href": RULE.runbook_url, "text": "runbook"} in arrival.body["links"]
        assert arrival.body["client_url"] == sent.links["dashboard"]

    def test_what_follows_has_the_same_key(self, receiver: Receiver) -> None:
        opened = message()
        deliver(receiver, opened)
        deliver(receiver, message(kind="reminder"), [thread(opened)])
        deliver(receiver, message(kind="acknowledged"), [thread(opened, waiting=0)])
        deliver(receiver, message(kind="resolved"), [thread(opened, open=0, waiting=0)])
        assert actions(receiver) == [(action, opened.id) for action in ("trigger", "trigger", "acknowledge", "resolve")]

    def test_a_rise_in_severity_opens_an_incident_of_its_own_in_the_place_of_the_first(self, receiver: Receiver) -> None:
        opened = message(rule=replace(RULE, severity="warning"))
        deliver(receiver, opened)
        deliver(receiver, message(kind="reminder"), [thread(opened, worst="critical")])
        deliver(receiver, message(kind="acknowledged"), [thread(opened, waiting=0, worst="critical")])
        milder = message(kind="reminder", rule=replace(RULE, severity="info"))
        deliver(receiver, milder, [thread(opened, worst="critical")])
        deliver(receiver, message(kind="resolved"), [thread(opened, open=0, waiting=0, worst="critical")])
        first, middle, risen = opened.id, f"{opened.id}-error", f"{opened.id}-critical"
        rise = [("trigger", risen), ("resolve", first), ("resolve", middle)]
        end = [("resolve", first), ("resolve", middle), ("resolve", risen)]
        assert actions(receiver) == [("trigger", first), *rise, ("acknowledge", risen), *rise, *end]

    def test_an_incident_ends_with_its_last_tenant(self, receiver: Receiver) -> None:
        several, other = message(count=3), message()
        ended = message(kind="resolved", count=2)
        assert deliver(receiver, ended, [thread(several, open=2), thread(other, open=0)]) == Delivered()
        assert actions(receiver) == [("resolve", other.id)]

    def test_one_that_nobody_looks_after_is_not_acknowledged(self, receiver: Receiver) -> None:
        deliver(receiver, message(kind="acknowledged"), [thread(message(count=2), waiting=1)])
        assert actions(receiver) == []

    def test_a_test_leaves_nothing_open(self, receiver: Receiver) -> None:
        sent = message(kind="test", rule=replace(RULE, severity="info"))
        assert deliver(receiver, sent) == Delivered()
        assert actions(receiver) == [("trigger", sent.id), ("resolve", sent.id)]

    def test_a_name_of_any_length_fits(self, receiver: Receiver) -> None:
        assert deliver(receiver, message(alerts=[alert("x\n" * 5_000)])) == Delivered()

    def test_no_event_is_larger_than_it_takes(self, settings: Settings) -> None:
        event = trigger(message(alerts=[alert("t", reason="x" * 600_000)]), "key")
        assert len(json.dumps(event)) < 512_000


class TestItsAnswers:
    def test_they_are_judged_as_documented(self, receiver: Receiver, recordings: Path) -> None:
        known = json.loads((recordings / "alert_semantics" / "notifier_responses.json").read_text())
        for status in known["retry_on_status"]["pagerduty_v2"]:
            receiver.will(faults.answers(status))
            assert isinstance(deliver(receiver), Retry), status
        for status in (400, 401, 403, 404, 413):
            receiver.will(faults.answers(status))
            assert isinstance(deliver(receiver), Rejected), status

    def test_too_many_wait_as_long_as_it_says(self, receiver: Receiver) -> None:
        receiver.will(faults.answers(429, Retry_After="60"))
        assert deliver(receiver) == Retry("the receiver answered 429", 60.0)


@pytest.mark.parametrize(
    ("config", "secrets"),
    [
        ({}, {}),
        ({}, {"routing_key": "short"}),
        ({"url": "http://localhost/"}, {"routing_key": KEY}),
        ({}, {"routing_key": KEY + "\n"}),
    ],
)
def test_what_cannot_work_is_a_problem_and_sends_nothing(
    config: dict[str, str], secrets: dict[str, str], settings: Settings
) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = []
    assert PagerDutyChannel().problems(config, secrets)
    assert isinstance(PagerDutyChannel().deliver(message(), config, secrets), Rejected)
