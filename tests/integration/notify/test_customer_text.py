"""What customers say goes into no notification: from the recorded interaction to everything that a receiver gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify.delivery import deliver_channel
from tests.integration.alerts.judged import answered, play, rule
from tests.integration.notify.conftest import SECRET, Clock
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver

TEXT = "my card is 4111 1111 1111 1111"


@pytest.mark.usefixtures("stores")
def test_no_receiver_gets_any_of_it(receiver: Receiver, mailbox: Mailbox, clock: Clock) -> None:
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
    said = {
        "customer_message": TEXT, "agent_response": TEXT, "handoff_triggered": True, "handoff_reason": TEXT, "intent": TEXT,
        "model_used": TEXT, "errors": [{"operation": TEXT, "type": TEXT}],
    }  # fmt: skip
    play({0: answered(9_000.0, times=20, **said), 1: answered(100.0, times=20)}, 3)
    for channel in made:
        deliver_channel(channel.pk, clock)
    rows = Notification.objects.all()
    assert set(rows.values_list("status", flat=True)) == {"delivered"}
    assert set(rows.values_list("kind", flat=True)) == {"firing", "resolved"}
    arrived = [arrival.as_dict() for arrival in (*mailbox.arrivals(), *(a for kind in kinds for a in receiver.arrivals(kind)))]
    assert len(arrived) == rows.count() == 3 * 2 * len(kinds)
    everything = json.dumps(arrived)
    assert "acme" in everything
    assert "4111" not in everything
    assert "my card" not in everything
