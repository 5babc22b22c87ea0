"""A notification finds, at its channel, what announced its alerts: through the outbox, to real receivers."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Alert, AlertRule, Channel, Notification
from apps.monitoring.notify.delivery import Report, deliver_channel
from apps.monitoring.notify.thread import threads_of
from tests.integration.notify.conftest import Clock, Told
from tests.integration.notify.rows import MINUTE, alert, log_channel, rule
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver

TOKEN = "xoxb-" + "1234567890-abcdef"


@pytest.fixture
def pagerduty(db: None, receiver: Receiver) -> Channel:
    return Channel.objects.create(
        name="duty", kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}
    )


@pytest.fixture
def slack(db: None, receiver: Receiver) -> Channel:
    config = {"channel": "#ops", "api": receiver.slack_api}
    return Channel.objects.create(name="chat", kind="slack", config=config, secrets={"token": TOKEN})


@pytest.fixture
def fired(db: None) -> list[Alert]:
    """Three tenants of one rule."""
    known = rule()
    return [alert(known, tenant) for tenant in ("airline", "retail", "telecom")]


def end(*alerts: Alert) -> None:
    Alert.objects.filter(pk__in=[ended.pk for ended in alerts]).update(resolved_at=datetime.now(UTC))


def openers(row: Notification) -> list[tuple[str, int, int]]:
    return [(thread.id, thread.count, thread.open) for thread in threads_of(row)]


class TestWhatOpened:
    def test_a_firing_goes_on_with_nothing(self, told: Told, fired: Sequence[Alert]) -> None:
        assert openers(told(log_channel("a"), alerts=fired)) == []

    def test_each_alert_belongs_to_the_first_that_named_it(self, told: Told, fired: Sequence[Alert]) -> None:
        channel = log_channel("a")
        first = told(channel, alerts=fired[:2])
        second = told(channel, alerts=fired[2:], minute=MINUTE + 1)
        told(channel, notice=Notice.REMINDER, alerts=fired, minute=MINUTE + 16)
        end(fired[0], fired[2])
        ended = told(channel, notice=Notice.RESOLVED, alerts=[fired[0], fired[2]], minute=MINUTE + 20)
        assert openers(ended) == [(str(first.pk), 2, 1), (str(second.pk), 1, 0)]

    def test_each_says_which_of_its_tenants_the_news_is_about(self, told: Told, fired: Sequence[Alert]) -> None:
        channel = log_channel("a")
        told(channel, alerts=fired)
        ended = told(channel, notice=Notice.RESOLVED, alerts=fired[1:], minute=MINUTE + 1)
        (opened,) = threads_of(ended)
        assert opened.about == {"retail", "telecom"}

    def test_another_channel_and_another_rule_have_their_own(self, told: Told, fired: Sequence[Alert]) -> None:
        told(log_channel("a"), alerts=fired)
        told(log_channel("c"), name="another-rule", alerts=fired)
        assert openers(told(log_channel("b"), notice=Notice.REMINDER, alerts=fired, minute=MINUTE + 1)) == []

    def test_a_tenant_that_no_message_names_is_found_too(self, told: Told) -> None:
        known = rule()
        many = [alert(known, f"tenant-{n:02}") for n in range(30)]
        channel = log_channel("a")
        first = told(channel, alerts=many)
        ended = told(channel, notice=Notice.RESOLVED, alerts=many[29:], minute=MINUTE + 1)
        assert openers(ended) == [(str(first.pk), 30, 30)]

    def test_a_rule_that_is_gone_is_found_by_its_alerts(self, told: Told, fired: Sequence[Alert]) -> None:
        channel = log_channel("a")
        first = told(channel, alerts=fired)
        told(channel, name="another-rule", alerts=[alert(rule(name="third-rule"))])
        ended = told(channel, notice=Notice.RESOLVED, alerts=fired, minute=MINUTE + 1)
        AlertRule.objects.all().delete()
        ended.refresh_from_db()
        assert openers(ended) == [(str(first.pk), 3, 3)]


class TestAtTheReceiver:
    def test_an_incident_ends_when_its_last_tenant_has_recovered(
        self, pagerduty: Channel, receiver: Receiver, told: Told, fired: Sequence[Alert], clock: Clock
    ) -> None:
        opened = told(pagerduty, alerts=fired)
        for number, ended in enumerate(fired, 1):
            end(ended)
            told(pagerduty, notice=Notice.RESOLVED, alerts=[ended], minute=MINUTE + number)
        clock.passes(seconds=1)
        assert deliver_channel(pagerduty.pk, clock) == Report(delivered=4)
        events = [(arrival.body["event_action"], arrival.body["dedup_key"]) for arrival in receiver.arrivals("pagerduty")]
        assert events[0] == ("trigger", str(opened.pk))
        assert set(events[1:]) == {("resolve", str(opened.pk))}

    def test_an_incident_stays_open_while_one_fires(
        self, pagerduty: Channel, receiver: Receiver, told: Told, fired: Sequence[Alert], clock: Clock
    ) -> None:
        told(pagerduty, alerts=fired)
        end(fired[0])
        told(pagerduty, notice=Notice.RESOLVED, alerts=fired[:1], minute=MINUTE + 1)
        clock.passes(seconds=1)
        deliver_channel(pagerduty.pk, clock)
        assert [arrival.body["event_action"] for arrival in receiver.arrivals("pagerduty")] == ["trigger"]

    def test_the_end_of_a_deleted_rule_does_not_overtake_its_beginning(
        self, pagerduty: Channel, receiver: Receiver, told: Told, fired: Sequence[Alert], clock: Clock
    ) -> None:
        opened = told(pagerduty, alerts=fired)
        end(*fired)
        told(pagerduty, notice=Notice.RESOLVED, alerts=fired, minute=MINUTE + 1)
        AlertRule.objects.all().delete()
        clock.passes(seconds=1)
        opened.next_attempt_at = clock() + timedelta(minutes=5)
        opened.save(update_fields=["next_attempt_at"])
        assert deliver_channel(pagerduty.pk, clock) == Report()
        clock.passes(minutes=6)
        assert deliver_channel(pagerduty.pk, clock) == Report(delivered=2)
        events = [(arrival.body["event_action"], arrival.body["dedup_key"]) for arrival in receiver.arrivals("pagerduty")]
        assert events == [("trigger", str(opened.pk)), ("resolve", str(opened.pk))]

    def test_slack_changes_the_message_that_announced_it(
        self, slack: Channel, receiver: Receiver, told: Told, fired: Sequence[Alert], clock: Clock
    ) -> None:
        told(slack, alerts=fired[:1])
        told(slack, alerts=fired[1:], minute=MINUTE + 1)
        end(*fired[1:])
        told(slack, notice=Notice.RESOLVED, alerts=fired[1:], minute=MINUTE + 2)
        clock.passes(seconds=1)
        assert deliver_channel(slack.pk, clock) == Report(delivered=3)
        _, second, changed = (arrival.body for arrival in receiver.arrivals("slack"))
        assert (changed["method"], changed["ts"]) == ("chat.update", second["ts"])

    def test_mails_of_one_alert_are_one_conversation(
        self, mailbox: Mailbox, told: Told, fired: Sequence[Alert], clock: Clock
    ) -> None:
        config = {"to": ["ops@example.com"], "from": "m@example.com"}
        channel = Channel.objects.create(name="mail", kind="email", config=config, secrets={"url": mailbox.url})
        told(channel, alerts=fired[:1])
        told(channel, alerts=fired[1:], minute=MINUTE + 1)
        end(fired[0])
        told(channel, notice=Notice.RESOLVED, alerts=fired[:1], minute=MINUTE + 2)
        clock.passes(seconds=1)
        deliver_channel(channel.pk, clock)
        first, other, ended = (mail.headers for mail in mailbox.arrivals())
        assert ended["in-reply-to"] == first["message-id"]
        assert "in-reply-to" not in other
