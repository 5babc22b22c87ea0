"""PagerDuty's Events API v2, as far as a sender sees it.

https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

from typing import Any, Final

from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from apps.monitoring.demo.sink.reply import Reply

PATH: Final = "/v2/enqueue"
_ACTIONS: Final = frozenset({"trigger", "acknowledge", "resolve"})
_SEVERITIES: Final = frozenset({"critical", "error", "warning", "info"})
_KEY: Final = 32
_DEDUP: Final = 255
_SUMMARY: Final = 1_024


def take(arrivals: Arrivals, payload: dict[str, Any], headers: dict[str, str]) -> Reply:
    """Take an event, or say what is wrong with it."""
    errors = _errors(payload)
    if errors:
        return Reply.json(400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors})
    said = payload.get("payload", {}).get("summary", "")
    arrivals.add(Arrival("pagerduty", f"{payload['event_action']} {said}".strip(), headers, payload))
    return Reply.json(202, {"status": "success", "message": "Event processed", "dedup_key": payload.get("dedup_key")})


def _errors(payload: dict[str, Any]) -> list[str]:
    errors = []
    if len(str(payload.get("routing_key") or "")) != _KEY:
        errors.append("'routing_key' is missing or blank")
    if payload.get("event_action") not in _ACTIONS:
        errors.append("'event_action' is invalid")
    if len(str(payload.get("dedup_key") or "")) > _DEDUP:
        errors.append("'dedup_key' is too long")
    if payload.get("event_action") != "trigger":
        return errors if payload.get("dedup_key") else [*errors, "'dedup_key' is missing or blank"]
    alert = payload.get("payload") or {}
    errors += [f"'payload.{name}' is missing or blank" for name in ("summary", "source", "severity") if not alert.get(name)]
    if len(alert.get("summary", "")) > _SUMMARY:
        errors.append("'payload.summary' is too long")
    if alert.get("severity") not in _SEVERITIES:
        errors.append("'payload.severity' is invalid")
    return errors
