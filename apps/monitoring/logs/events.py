"""The six event types and their fields, in the order in which a line shows them.

What the caller did not say is left out; it is never 0, never null. What it said in a type that a field does not have is
shown as a text under ``refused``, so that a field has one type in every line. An argument that no field is made for is
shown under ``extra``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from apps.monitoring.logs import fields as kinds
from apps.monitoring.logs.plain import Json, plain, spelled
from apps.monitoring.logs.redaction import ContentMode, Redactor

LOGGER: Final = "agent.monitor"

Fields = tuple[tuple[str, kinds.Show], ...]

CORRELATION: Final[Fields] = (("trace_id", kinds.trace), ("span_id", kinds.span), ("request_id", kinds.name))
"""On every line that was made inside a trace or a request (see `context`)."""

FIELDS: Final[Mapping[str, Fields]] = MappingProxyType(
    {
        "agent_interaction": (
            ("conversation_id", kinds.name),
            ("customer_message", kinds.text),
            ("agent_response", kinds.text),
            ("model_used", kinds.name),
            ("confidence_score", kinds.number),
            ("processing_time_ms", kinds.number),
            ("token_usage", kinds.counts),
            ("estimated_cost", kinds.number),
            ("pricing", kinds.name),
            ("handoff_triggered", kinds.flag),
            ("handoff_reason", kinds.text),
            ("intent", kinds.name),
            ("errors", kinds.failures),
        ),
        "llm_api_call": (
            ("conversation_id", kinds.name),
            ("provider", kinds.name),
            ("model", kinds.name),
            ("duration_ms", kinds.number),
            ("token_usage", kinds.counts),
            ("time_to_first_token_ms", kinds.number),
            ("cost", kinds.number),
            ("pricing", kinds.name),
            ("error", kinds.exception),
            ("cancelled", kinds.flag),
        ),
        "context_building": (
            ("conversation_id", kinds.name),
            ("components", kinds.counts),
            ("duration_ms", kinds.number),
        ),
        "handoff_decision": (
            ("conversation_id", kinds.name),
            ("decision", kinds.flag),
            ("confidence", kinds.number),
            ("triggers", kinds.names),
            ("reason", kinds.text),
        ),
        "knowledge_search": (
            ("conversation_id", kinds.name),
            ("query", kinds.text),
            ("result_count", kinds.number),
            ("similarity_scores", kinds.numbers),
            ("duration_ms", kinds.number),
        ),
        "error": (
            ("operation", kinds.name),
            ("exception", kinds.exception),
            ("context", kinds.details),
        ),
    }
)

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

_SHOWN: Final = MappingProxyType({event_type: (*fields, *CORRELATION) for event_type, fields in FIELDS.items()})
_KNOWN: Final = MappingProxyType({event_type: frozenset(name for name, _ in fields) for event_type, fields in _SHOWN.items()})
_NO_NAMES: Final = frozenset(name for name, _ in CORRELATION)


def line(event_type: str, when: float, tenant_id: str, arguments: Mapping[str, object], redactor: Redactor) -> dict[str, Json]:
    """The fields of a line; ``when`` in epoch seconds."""
    found: dict[str, Json] = {
        "timestamp": None,
        "level": "ERROR" if failed(event_type, arguments) else "INFO",
        "logger": LOGGER,
        "message": MESSAGES.get(event_type, event_type),
        "event_type": event_type,
        "tenant_id": tenant_id if type(tenant_id) is str else spelled(tenant_id),
    }
    refused: dict[str, object] = {}
    try:
        found["timestamp"] = timestamp(when)
    except (ValueError, OverflowError, OSError, TypeError):
        found["timestamp"] = timestamp(time.time())
        refused["timestamp"] = when
    for name, show in _SHOWN.get(event_type, CORRELATION):
        value = arguments.get(name)
        if value is None:
            continue
        try:
            shown = show(value, redactor)
        except Exception:  # a foreign object may raise anything when it is looked at
            refused[name] = value
        else:
            if shown is not None:
                found[name] = shown
    known = _KNOWN.get(event_type, _NO_NAMES)
    if not known.issuperset(arguments):
        found["extra"] = kinds.details({name: arguments[name] for name in arguments if name not in known}, redactor)
    if refused:
        found["refused"] = {name: _refused(value, redactor) for name, value in refused.items()}
    return found


def failed(event_type: str, arguments: Mapping[str, object]) -> bool:
    """Whether the line has the level ERROR: exactly what the metrics count as an error."""
    if event_type == "agent_interaction":
        return arguments.get("agent_response") is None or _is_filled(arguments.get("errors"))
    return event_type == "error" or (event_type == "llm_api_call" and arguments.get("error") is not None)


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
    shown = plain(value, redactor.short)
    return redactor.short(shown if type(shown) is str else str(shown))


def _is_filled(value: object) -> bool:
    """Whether there is an entry; what cannot be asked has none."""
    try:
        return len(value) > 0  # type: ignore[arg-type]
    except Exception:  # no collection, or one that raises when it is looked at
        return False
