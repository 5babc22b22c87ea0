"""A rule that is tried: what is asked, and what comes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from apps.monitoring.alerts import tryout
from apps.monitoring.core.clock import minute_of
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, AuditEntry, Notification
from tests.integration.admin.pages import HOME, form

NOW = minute_of(datetime.now(UTC).timestamp())
START = NOW - 60
NEW = f"{HOME}/alertrule/try/"


def values(**more: Any) -> dict[str, Any]:
    """The form as it stands, and what is asked of the panel."""
    given = {"threshold": "5000", "window_minutes": "1", "min_samples": "1", "for_minutes": "0", "cooldown_minutes": "15"}
    return {**form(**{**given, **more}), "try_range": more.pop("try_range", "24h"), "try_tenant": more.pop("try_tenant", "")}


def told(answer: Any) -> list[dict[str, Any]]:
    """The lines of an answer that is streamed."""
    assert answer.status_code == 200, answer.content
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def body_of(answer: Any) -> dict[str, Any]:
    """The answer itself, or what is wrong."""
    return told(answer)[-1] if answer.streaming else answer.json()


def finished(work: tryout.Work[Any]) -> Any:
    """What comes of it."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def written() -> list[int]:
    models = (AlertRule, Alert, AlertState, AlertTransition, Notification, AuditEntry)
    return [model.objects.count() for model in models]
