"""Events to a real Sentry endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import pytest

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.channels.sentry.channel import SentryChannel
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread
from tests.sinks import faults
from tests.sinks.example import alert, message, thread
from tests.sinks.receiver import Receiver


def deliver(receiver: Receiver, sent: Message | None = None, threads: Sequence[Thread] = ()) -> Outcome:
    return SentryChannel().deliver(sent or message(), {}, {"dsn": receiver.dsn}, threads)


def issues(receiver: Receiver) -> list[tuple[str, str]]:
    """The issue and the level of each event that arrived."""
    return [(arrival.body["fingerprint"][2], arrival.body["level"]) for arrival in receiver.arrivals("sentry")]


class TestTheEvent:
    def test_it_carries_the_numbers_and_the_notifications_id(self, receiver: Receiver) -> None:
        sent = message()
        assert deliver(receiver, sent) == Delivered()
        (arrival,) = receiver.arrivals("sentry")
        assert arrival.body["event_id"] == UUID(sent.id).hex
        assert arrival.body["contexts"]["alert"]["alerts"][0]["value"] == 0.25
        assert arrival.body["tags"] == {
            "rule": "error-rate-5m", "tenant": "airline", "severity": "critical", "kind": "firing", "metric": "error_rate",
        }  # fmt: skip
        assert "sentry_key=public-key" in arrival.headers["x-sentry-auth"]

    def test_one_rule_and_tenant_is_one_issue_whatever_the_value(self, receiver: Receiver) -> None:
        deliver(receiver, message())
        deliver(receiver, message(kind="resolved", alerts=[alert(value=0.01, reason="0.01")]))
        firing, resolved = (arrival.body for arrival in receiver.arrivals("sentry"))
        assert firing["fingerprint"] == resolved["fingerprint"] == ["agent-monitoring", "error-rate-5m", "airline"]
        assert (firing["level"], resolved["level"]) == ("fatal", "info")
        assert resolved["tags"]["kind"] == "resolved"

    def test_each_of_many_tenants_has_its_issue_and_its_end_goes_there(self, receiver: Receiver) -> None:
        opened = message(count=3, alerts=[alert("a"), alert("b"), alert("c")])
        deliver(receiver, opened)
        deliver(receiver, message(kind="resolved", alerts=[alert("b")]), [thread(opened, open=2, about=frozenset("b"))])
        assert issues(receiver) == [("a", "fatal"), ("b", "fatal"), ("c", "fatal"), ("b", "info")]

    def test_a_repetition_has_the_same_ids_and_no_two_events_have_the_same(self, receiver: Receiver) -> None:
        opened = message(count=12, alerts=[alert(f"t{n}") for n in range(10)])
        deliver(receiver, opened)
        deliver(receiver, opened)
        ids = [arrival.body["event_id"] for arrival in receiver.arrivals("sentry")]
        assert ids[:11] == ids[11:]
        assert len(set(ids)) == 11

    def test_those_that_a_message_does_not_name_are_one_issue_that_ends_with_the_last(self, receiver: Receiver) -> None:
        opened = message(count=12, alerts=[alert("named"), *(alert(f"t{n}") for n in range(9))])
        deliver(receiver, opened)
        assert issues(receiver)[-1] == ("group", "fatal")
        before = len(issues(receiver))
        deliver(receiver, message(kind="resolved", alerts=[alert("x")]), [thread(opened, open=11, about=frozenset({"x"}))])
        assert len(issues(receiver)) == before
        ended = frozenset({"named", "y"})
        deliver(receiver, message(kind="resolved", count=2, alerts=[alert("y")]), [thread(opened, open=0, about=ended)])
        assert issues(receiver)[before:] == [("named", "info"), ("group", "info")]


class TestTheServer:
    def test_unreachable_and_then_back(self, receiver: Receiver) -> None:
        receiver.down()
        assert deliver(receiver) == Retry("the receiver cannot be reached: Connection refused")
        receiver.up()
        assert deliver(receiver) == Delivered()

    def test_its_rate_limit_is_kept(self, receiver: Receiver) -> None:
        receiver.will(faults.answers(429, X_Sentry_Rate_Limits="45:error:organization, 3600:transaction:key"))
        assert deliver(receiver) == Retry("the receiver answered 429", 45.0)

    @pytest.mark.parametrize(("status", "outcome"), [(403, Rejected), (413, Rejected), (500, Retry), (503, Retry)])
    def test_its_status_decides(self, receiver: Receiver, status: int, outcome: type[Outcome]) -> None:
        receiver.will(faults.answers(status))
        assert isinstance(deliver(receiver), outcome)


@pytest.mark.parametrize(
    "dsn", ["", "nonsense", "https://key@sentry.example/not-a-number", "ftp://key@sentry.example/1", "https://a:b:c@d:e/1"]
)
def test_a_dsn_that_is_none_is_a_problem_that_does_not_repeat_it(dsn: str) -> None:
    (problem,) = SentryChannel().problems({}, {"dsn": dsn})
    assert SentryChannel().deliver(message(), {}, {"dsn": dsn}) == Rejected(problem)
    assert not dsn or dsn not in problem
