"""What customers say goes into no notification and no store: from the recorded event to everything that a receiver gets."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apps.monitoring.catalogue import Kind
from apps.monitoring.core.event import Event
from apps.monitoring.models import Channel, Notification, Series
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.query.summary import summary
from tests.integration.alerts.judged import answered, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.notify.conftest import SECRET, Clock
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver
from tests.unit.ingest.made import event

LONG = "my card is 4111 1111 1111 1111, " * 3
SHORT = ("mia@x.com", "+49 170 1234567", "4111111111111111", "ask mia@x.com")
"""Short enough for a label."""
TOLD = ("4111 1", "41111111", "my card", "mia@", "1234567")
"""What of them nobody must see; none so short that a signature or the boundary of a mail has it by chance."""


def said(text: str) -> list[Event]:
    """Every event that has a label, with a text at each place where one may stand."""
    at = {"when": MINUTE * 60.0}
    return [
        *answered(
            9_000.0, times=5, customer_message=text, agent_response=text, handoff_triggered=True, handoff_reason=text,
            intent=text, model_used=text, errors=[{"operation": text, "type": text}, text],
        ),
        event("llm_api_call", provider=text, model=text, error=text, **at),
        event("llm_api_call", provider=text, model=text, cost=None, **at),
        event("context_building", components={text: 1}, **at),
        event("handoff_decision", reason=text, triggers=[text], **at),
        event("knowledge_search", query=text, **at),
        event("error", operation=text, exception=ValueError(text), context={text: text}, **at),
        event("user_metric", name="carts", kind=Kind.COUNTER, value=1, labels={"country": text, text: "de"}, **at),
    ]  # fmt: skip


@pytest.mark.usefixtures("stores")
def test_no_receiver_and_no_store_gets_any_of_it(receiver: Receiver, mailbox: Mailbox, clock: Clock) -> None:
    kinds: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
        "webhook": ({"url": receiver.url}, {"secret": SECRET}),
        "sentry": ({}, {"dsn": receiver.dsn}),
        "slack": ({}, {"url": receiver.slack_webhook}),
        "pagerduty": ({"url": receiver.pagerduty_url}, {"routing_key": "k" * 32}),
        "email": ({"to": ["ops@example.com"], "from": "m@example.com"}, {"url": mailbox.url}),
    }
    made = [
        Channel.objects.create(name=kind, kind=kind, config=config, secrets=secrets, is_default=True)
        for kind, (config, secrets) in kinds.items()
    ]
    rule("slow")
    rule("failing", metric="error_rate", statistic="ratio", threshold=0.1)
    rule("handed-over", metric="handoff_rate", statistic="ratio", threshold=0.1)
    play({0: [one for text in (LONG, *SHORT) for one in said(text)], 1: answered(100.0, times=20)}, 3)
    clock.passes(seconds=1)
    for channel in made:
        deliver_channel(channel.pk, clock)
    rows = Notification.objects.all()
    assert not rows.exclude(status="delivered"), list(rows.values("channel__name", "status", "last_error", "next_attempt_at"))
    assert set(rows.values_list("kind", flat=True)) == {"firing", "resolved"}
    arrived = [arrival.as_dict() for arrival in (*mailbox.arrivals(), *(a for kind in kinds for a in receiver.arrivals(kind)))]
    assert len(arrived) == rows.count() == 3 * 2 * len(kinds)
    start = datetime.fromtimestamp(MINUTE * 60, UTC)
    seen = {
        "receivers": arrived,
        "series": list(Series.objects.values_list("tenant", "metric", "labels")),
        "summary": summary("acme", start, start + timedelta(minutes=3)),
    }
    for where, everything in seen.items():
        found = json.dumps(everything)
        assert "acme" in found, where
        assert not [text for text in TOLD if text in found], where
    intents = {one["intent"]: one["count"] for one in seen["summary"]["intents"]}
    assert intents == {"refund": 20, "other": 5, "[email]": 5, "[phone]": 5, "[card]": 5, "ask [email]": 5}
