"""An end over many incidents takes several attempts, each of which goes on where the one before ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Alert, Channel, Notification
from apps.monitoring.notify.channels import progress
from apps.monitoring.notify.delivery import Report, deliver_channel
from apps.monitoring.notify.thread import threads_of
from tests.integration.notify.conftest import Clock, Told, fresh
from tests.integration.notify.rows import MINUTE, alert, log_channel, rule
from tests.sinks import faults
from tests.sinks.receiver import Receiver

MANY = 7
TOKEN = "xoxb-" + "1234567890-abcdef"

Make = Callable[[Receiver], Channel]


def pagerduty(receiver: Receiver) -> Channel:
    return Channel.objects.create(
        name="duty", kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}
    )


def slack(receiver: Receiver) -> Channel:
    config = {"channel": "#ops", "api": receiver.slack_api}
    return Channel.objects.create(name="chat", kind="slack", config=config, secrets={"token": TOKEN})


def sentry(receiver: Receiver) -> Channel:
    return Channel.objects.create(name="sentry", kind="sentry", secrets={"dsn": receiver.dsn})


def ends(receiver: Receiver) -> list[str]:
    """The incidents, messages and issues whose end arrived, in order."""
    resolved = [event.body for event in receiver.arrivals("pagerduty") if event.body["event_action"] == "resolve"]
    changed = [message.body for message in receiver.arrivals("slack") if message.body["method"] == "chat.update"]
    over = [event.body for event in receiver.arrivals("sentry") if event.body["level"] == "info"]
    return [
        *(body["dedup_key"] for body in resolved),
        *(body["ts"] for body in changed),
        *(body["fingerprint"][2] for body in over),
    ]


class AFewAtATime:
    """Takes so many requests, then none until it is told that time has passed."""

    def __init__(self, number: int, **headers: str) -> None:
        self.number, self.left = number, number
        self._refuse = faults.answers(429, **headers)

    def __call__(self, request: BaseHTTPRequestHandler) -> bool:
        self.left -= 1
        return self._refuse(request) if self.left < 0 else False

    def recovers(self) -> None:
        self.left = self.number


@pytest.fixture
def fired(db: None) -> list[Alert]:
    known = rule()
    return [alert(known, f"tenant-{number}") for number in range(MANY)]


@pytest.fixture
def end_of_many(told: Told, fired: list[Alert], clock: Clock) -> Callable[[Channel], Notification]:
    """Each tenant was told of by itself, and all of them have recovered at once."""

    def write(channel: Channel) -> Notification:
        for number, one in enumerate(fired):
            told(channel, alerts=[one], minute=MINUTE + number)
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=MANY)
        Alert.objects.update(resolved_at=datetime.now(UTC))
        row = told(channel, notice=Notice.RESOLVED, alerts=fired, minute=MINUTE + 60)
        clock.passes(seconds=1)
        return row

    return write


class TestItIsFinished:
    @pytest.mark.parametrize("make", [pagerduty, slack, sentry])
    def test_by_a_receiver_that_takes_a_few_at_a_time_and_each_once(
        self, make: Make, receiver: Receiver, end_of_many: Callable[[Channel], Notification], clock: Clock
    ) -> None:
        channel = make(receiver)
        row = end_of_many(channel)
        limit = AFewAtATime(3)
        receiver.always(limit)
        for _ in range(3):
            limit.recovers()
            deliver_channel(channel.pk, clock)
            clock.passes(seconds=10)  # soon, also after several attempts
        assert (fresh(row).status, fresh(row).attempts) == ("delivered", 3)
        assert len(ends(receiver)) == len(set(ends(receiver))) == MANY
        assert "taken_steps" not in fresh(row).receipt

    @pytest.mark.parametrize("make", [pagerduty, slack, sentry])
    def test_by_a_receiver_that_is_slow(
        self,
        make: Make,
        receiver: Receiver,
        end_of_many: Callable[[Channel], Notification],
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        channel = make(receiver)
        row = end_of_many(channel)
        monkeypatch.setattr(progress, "SECONDS", 0.0)  # one step an attempt
        for number in range(MANY):
            assert fresh(row).status == "pending", number
            deliver_channel(channel.pk, clock)
            clock.passes(seconds=10)
        assert fresh(row).status == "delivered"
        assert len(ends(receiver)) == len(set(ends(receiver))) == MANY

    def test_although_an_attempt_comes_to_nothing_after_many_that_did(
        self, receiver: Receiver, end_of_many: Callable[[Channel], Notification], clock: Clock
    ) -> None:
        channel = pagerduty(receiver)
        row = end_of_many(channel)
        Notification.objects.filter(pk=row.pk).update(attempts=15)
        receiver.will(faults.none, faults.answers(503), faults.answers(503))
        for _ in range(3):
            deliver_channel(channel.pk, clock)
            clock.passes(seconds=10)
        assert fresh(row).status == "delivered"

    def test_although_its_day_ends_while_it_is_under_way(
        self, receiver: Receiver, end_of_many: Callable[[Channel], Notification], clock: Clock
    ) -> None:
        channel = pagerduty(receiver)
        row = end_of_many(channel)
        limit = AFewAtATime(0)
        receiver.always(limit)
        deliver_channel(channel.pk, clock)
        clock.passes(hours=25)
        limit.left = 4
        deliver_channel(channel.pk, clock)
        receiver.always(None)
        clock.passes(seconds=10)
        deliver_channel(channel.pk, clock)
        assert fresh(row).status == "delivered"


class TestMeanwhile:
    def test_the_channel_works_and_says_what_was_in_the_way(
        self, receiver: Receiver, end_of_many: Callable[[Channel], Notification], clock: Clock
    ) -> None:
        channel = pagerduty(receiver)
        row = end_of_many(channel)
        receiver.always(AFewAtATime(3))
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        channel.refresh_from_db()
        assert (channel.failures, channel.failing_since, channel.last_error) == (0, None, "the receiver answered 429")
        assert (fresh(row).status, fresh(row).last_error) == ("pending", "the receiver answered 429")

    def test_a_time_that_the_receiver_names_is_kept_by_the_whole_channel(
        self, receiver: Receiver, end_of_many: Callable[[Channel], Notification], told: Told, clock: Clock
    ) -> None:
        channel = slack(receiver)
        end_of_many(channel)
        told(channel, name="another-rule")
        clock.passes(seconds=1)
        receiver.always(AFewAtATime(3, Retry_After="600"))
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        receiver.always(None)
        clock.passes(seconds=599)
        assert deliver_channel(channel.pk, clock) == Report()
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=2)

    def test_other_rules_go_on_and_what_follows_of_its_own_waits(
        self,
        receiver: Receiver,
        end_of_many: Callable[[Channel], Notification],
        told: Told,
        clock: Clock,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        channel = sentry(receiver)
        row = end_of_many(channel)
        own = told(channel, minute=MINUTE + 61)
        other = told(channel, name="another-rule")
        clock.passes(seconds=1)
        with monkeypatch.context() as patched:
            patched.setattr(progress, "SECONDS", 0.0)
            assert deliver_channel(channel.pk, clock) == Report(delivered=1, failed=1)
        assert [fresh(one).status for one in (row, own, other)] == ["pending", "pending", "delivered"]
        clock.passes(seconds=10)
        assert deliver_channel(channel.pk, clock) == Report(delivered=2)


def test_slack_tells_once_of_all_first_messages_that_are_gone(
    receiver: Receiver, end_of_many: Callable[[Channel], Notification], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = slack(receiver)
    row = end_of_many(channel)
    gone = list(Notification.objects.filter(kind="firing").order_by("created_at")[1:5])
    for number, one in enumerate(gone):
        Notification.objects.filter(pk=one.pk).update(receipt={"channel": "C0123456789", "ts": f"{number}.000000"})
    limit = AFewAtATime(3)
    receiver.always(limit)
    for _ in range(5):
        limit.recovers()
        deliver_channel(channel.pk, clock)
        clock.passes(seconds=10)
    assert fresh(row).status == "delivered"
    anew = [message.body for message in receiver.arrivals("slack") if message.body["method"] == "chat.postMessage"][MANY:]
    assert len(anew) == 1
    assert len(set(ends(receiver))) == MANY - len(gone)


class TestWhatItCosts:
    def test_as_many_questions_for_many_threads_as_for_one(self, told: Told, fired: list[Alert], clock: Clock) -> None:
        channel = log_channel("a")
        for number, one in enumerate(fired):
            told(channel, alerts=[one], minute=MINUTE + number)
        one = told(channel, notice=Notice.RESOLVED, alerts=fired[:1], minute=MINUTE + 20)
        many = told(channel, notice=Notice.RESOLVED, alerts=fired, minute=MINUTE + 21)
        asked = []
        for row, number in ((one, 1), (many, MANY)):
            with CaptureQueriesContext(connection) as queries:
                assert len(threads_of(row)) == number
            asked.append(len(queries))
        assert asked[0] == asked[1]

    def test_nobody_looks_for_threads_that_the_channel_does_not_keep(
        self, told: Told, fired: list[Alert], clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        channel = log_channel("a")
        told(channel, alerts=fired)
        told(channel, notice=Notice.REMINDER, alerts=fired, minute=MINUTE + 1)
        looked: list[Notification] = []
        monkeypatch.setattr("apps.monitoring.notify.delivery.threads_of", looked.append)
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=2)
        assert looked == []


def test_the_rest_is_asked_for_before_the_sweep(
    receiver: Receiver, end_of_many: Callable[[Channel], Notification], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = pagerduty(receiver)
    row = end_of_many(channel)
    asked: list[float] = []
    monkeypatch.setattr("apps.monitoring.notify.outbox.ask", lambda _channel, after=0.0: asked.append(after))
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    deliver_channel(channel.pk, clock)
    (wait,) = asked
    assert timedelta(seconds=wait) == fresh(row).next_attempt_at - clock.now
    assert wait < 10
