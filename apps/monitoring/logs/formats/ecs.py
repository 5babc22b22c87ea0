"""The format `ecs`: Elastic Common Schema 8, its own names where it has them, everything else under `agent_monitor`.

https://www.elastic.co/guide/en/ecs/8.11/ecs-field-reference.html
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from apps.monitoring.logs.formats.json import json_line

VERSION: Final = "8.11.0"
_NANOSECONDS: Final = 1_000_000
_MOST_MILLISECONDS: Final = 9_000_000_000
"""Beyond it the nanoseconds are no integer that every reader of JSON can hold."""
_OURS: Final = "agent_monitor"

_NAMES: Final = MappingProxyType(
    {
        "timestamp": "@timestamp",
        "message": "message",
        "logger": "log.logger",
        "event_type": "event.action",
        "tenant_id": "organization.id",
        "trace_id": "trace.id",
        "span_id": "span.id",
        "request_id": "http.request.id",
    }
)
_DURATIONS: Final = ("processing_time_ms", "duration_ms")
_ERRORS: Final = ("exception", "error")


def ecs_line(fields: Mapping[str, Any]) -> bytes:
    """One JSON object and the end of the line."""
    shown: dict[str, Any] = {
        "@timestamp": fields["timestamp"],
        "log.level": str(fields["level"]).lower(),
        "message": fields["message"],
        "ecs.version": VERSION,
        "event.dataset": _OURS,
        "event.kind": "event",
        "event.outcome": "failure" if fields["level"] == "ERROR" else "success",
    }
    ours: dict[str, Any] = {}
    for name, value in fields.items():
        known = _NAMES.get(name)
        if known is not None:
            shown[known] = value
        elif name in _ERRORS and isinstance(value, Mapping):
            shown.update({f"error.{part}": text for part, text in value.items()})
        elif name != "level":
            ours[name] = value
    for name in _DURATIONS:
        if name in ours and 0 <= ours[name] < _MOST_MILLISECONDS:
            shown["event.duration"] = round(ours[name] * _NANOSECONDS)
    if ours:
        shown[_OURS] = ours
    return json_line(shown)
