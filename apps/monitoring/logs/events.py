"""The six event types, and how their fields are shown.

What the caller did not say is left out; it is never 0, never null. What it said in a type that a field does not have is
shown as a text under ``refused``, so that a field has one type in every line.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from apps.monitoring.core.event import BELONGS, FIELDS, HEAD, TENANT, TYPE, Event, position
from apps.monitoring.core.values import is_lazy
from apps.monitoring.logs import fields as kinds
from apps.monitoring.logs.plain import Json, plain, spelled
from apps.monitoring.logs.redaction import ContentMode, Redactor

LOGGER: Final = "agent.monitor"

_RESPONSE: Final = position("agent_interaction", "agent_response")
_ERRORS: Final = position("agent_interaction", "errors")
_ERROR: Final = position("llm_api_call", "error")

CORRELATION: Final[tuple[tuple[str, kinds.Show], ...]] = (
    ("trace_id", kinds.trace),
    ("span_id", kinds.span),
    ("request_id", kinds.name),
)
"""On every line that was made inside a trace or a request (see `context`)."""

SHOWS: Final[Mapping[str, kinds.Show]] = MappingProxyType(
    {
        "conversation_id": kinds.name,
        "customer_message": kinds.text,
        "agent_response": kinds.text,
        "model_used": kinds.name,
        "confidence_score": kinds.number,
        "processing_time_ms": kinds.number,
        "token_usage": kinds.counts,
        "estimated_cost": kinds.number,
        "pricing": kinds.name,
        "handoff_triggered": kinds.flag,
        "handoff_reason": kinds.text,
        "intent": kinds.name,
        "errors": kinds.failures,
        "provider": kinds.name,
        "model": kinds.name,
        "duration_ms": kinds.number,
        "time_to_first_token_ms": kinds.number,
        "cost": kinds.number,
        "error": kinds.exception,
        "cancelled": kinds.flag,
        "components": kinds.counts,
        "decision": kinds.flag,
        "confidence": kinds.number,
        "triggers": kinds.names,
        "reason": kinds.text,
        "query": kinds.text,
        "result_count": kinds.number,
        "similarity_scores": kinds.numbers,
        "operation": kinds.name,
        "exception": kinds.exception,
        "context": kinds.details,
    }
)
"""A field of one name is of one type in every event, as indexes of logs need it."""

MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "agent_interaction": "Agent interaction",
        "llm_api_call": "LLM API call",
        "context_building": "Context built",
        "handoff_decision": "Handoff decision",
        "knowledge_search": "Knowledge search",
        "error": "Error",
    }
)


def line(event: Event, when: float, redactor: Redactor) -> dict[str, Json]:
    """The fields of a line; ``when`` in epoch seconds."""
    event_type, tenant_id = event[TYPE], event[TENANT]
    found: dict[str, Json] = {
        "timestamp": None,
        "level": "ERROR" if failed(event) else "INFO",
        "logger": LOGGER,
        "message": MESSAGES[event_type],
        "event_type": event_type,
        "tenant_id": tenant_id if type(tenant_id) is str else spelled(tenant_id),
    }
    refused: dict[str, object] = {}
    try:
        found["timestamp"] = timestamp(when)
    except (ValueError, OverflowError, OSError, TypeError):
        found["timestamp"] = timestamp(time.time())
        refused["timestamp"] = when
    for name, show, value in _said(event):
        if is_lazy(value):
            refused[name] = value
            continue
        try:
            shown = show(value, redactor)
        except Exception:  # a foreign object may raise anything when it is looked at
            refused[name] = value
        else:
            if shown is not None:
                found[name] = shown
    if refused:
        found["refused"] = {name: _refused(value, redactor) for name, value in refused.items()}
    return found


def _said(event: Event) -> Iterator[tuple[str, kinds.Show, object]]:
    for name, value in zip(FIELDS[event[TYPE]], event[HEAD:], strict=True):
        if value is not None:
            yield name, SHOWS[name], value
    belongs = event[BELONGS] or {}
    for name, show in CORRELATION:
        if belongs.get(name) is not None:
            yield name, show, belongs[name]


def failed(event: Event) -> bool:
    """Whether the line has the level ERROR: exactly what the metrics count as an error."""
    event_type = event[TYPE]
    if event_type == "agent_interaction":
        return event[_RESPONSE] is None or _is_filled(event[_ERRORS])
    return event_type == "error" or (event_type == "llm_api_call" and event[_ERROR] is not None)


def timestamp(when: float) -> str:
    """ISO 8601 in UTC with microseconds and Z. Raises for what is no moment between the years 1 and 9999."""
    second, fraction = divmod(round(when * 1_000_000), 1_000_000)
    return f"{_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S").zfill(19)


def _refused(value: object, redactor: Redactor) -> str:
    """In mode `none` the type alone: what was meant for a number may be what somebody wrote."""
    if redactor.mode is ContentMode.NONE:
        return f"<{type(value).__name__}>"
    shown = plain(value, redactor.short, instead=redactor.instead)
    return redactor.short(shown if type(shown) is str else str(shown))


def _is_filled(value: object) -> bool:
    """Whether there is an entry; what cannot be asked has none."""
    try:
        return len(value) > 0  # type: ignore[arg-type]
    except Exception:  # no collection, or one that raises when it is looked at
        return False
