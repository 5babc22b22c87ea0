"""Events to a real Sentry endpoint."""

from __future__ import annotations

from uuid import UUID

import pytest

from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.channels.sentry.channel import SentryChannel
from apps.monitoring.notify.message import Message
from tests.sinks import faults
from tests.sinks.example import RULE, alert, message
from tests.sinks.receiver import Receiver


def deliver(receiver: Receiver, sent: Message | None = None) -> Outcome:
    return SentryChannel().deliver(sent or message(), {}, {"dsn": receiver.dsn})


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

    def test_many_tenants_are_one_issue_of_the_group(self, receiver: Receiver) -> None:
        deliver(receiver, message(count=3, alerts=[alert("a"), alert("b"), alert("c")]))
        assert receiver.arrivals("sentry")[0].body["fingerprint"] == ["agent-monitoring", RULE.name, "group"]


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
