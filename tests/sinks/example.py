"""A notification such as the evaluator makes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from apps.monitoring.notify.message import AlertFacts, Message, RuleFacts
from apps.monitoring.notify.thread import Thread

RULE = RuleFacts("error-rate-5m", "error_rate", "ratio", "gt", 0.1, "share", 5, "critical", "https://runbooks.example/errors")


def alert(tenant: str | None = "airline", **changes: Any) -> AlertFacts:
    facts: dict[str, Any] = {
        "tenant": tenant,
        "value": 0.25,
        "samples": 40,
        "since": "2026-01-05T00:03:00Z",
        "reason": "0.25 > 0.1",
        "links": {"dashboard": "https://monitoring.example/dashboard/?tenant=airline"},
    }
    return AlertFacts(**facts | changes)


def message(**changes: Any) -> Message:
    facts: dict[str, Any] = {
        "id": str(uuid4()),
        "kind": "firing",
        "rule": RULE,
        "minute": "2026-01-05T00:07:00Z",
        "count": 1,
        "alerts": [alert()],
        "text": "error-rate-5m is firing for airline.",
        "links": {"dashboard": "https://monitoring.example/dashboard/", "runbook": RULE.runbook_url},
    }
    return Message(**facts | changes)


def thread(opened: Message, **changes: Any) -> Thread:
    """What a message opened; nobody looks after it unless said."""
    facts: dict[str, Any] = {"receipt": {}, "count": opened.count, "open": opened.count, "waiting": opened.count}
    return Thread(opened.id, opened, **facts | changes)
