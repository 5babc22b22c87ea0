"""The fields of each event's line. What the caller did not say is left out; it is never 0."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import Enum
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any, Final

from apps.monitoring.logs.redaction import Redactor

LOGGER: Final = "agent.monitor"

_MESSAGES: Final = MappingProxyType(
    {
        "agent_interaction": "Agent interaction",
        "llm_api_call": "LLM API call",
        "context_building": "Context built",
        "handoff_decision": "Handoff decision",
        "knowledge_search": "Knowledge search",
        "error": "Error",
    }
)

_AS_THEY_ARE: Final = frozenset({int, float, bool, type(None)})

_MAX_ITEMS: Final = 100
"""Entries of one list or mapping: an endless one must not hold the thread."""

TEXTS: Final = frozenset({"customer_message", "agent_response", "handoff_reason", "query", "reason", "exception", "error"})
"""Fields that may hold what a customer wrote: redacted, or left out, by the content mode."""


def fields(kind: str, when: float, tenant: str, arguments: Mapping[str, Any], redactor: Redactor) -> dict[str, Any]:
    """The line as a mapping; ``when`` in epoch seconds."""
    failed = kind == "error" or (kind == "llm_api_call" and arguments.get("error") is not None)
    line: dict[str, Any] = {
        "timestamp": _timestamp(when),
        "level": "ERROR" if failed else "INFO",
        "logger": LOGGER,
        "message": _MESSAGES[kind],
        "event_type": kind,
        "tenant_id": tenant,
    }
    for name, value in arguments.items():
        shown = _shown(name, value, redactor)
        if shown is not None:
            line[name] = shown
    return line


def _timestamp(when: float) -> str:
    """ISO 8601 in UTC with microseconds and Z."""
    second, fraction = divmod(round(when * 1_000_000), 1_000_000)
    return f"{_second(second)}.{fraction:06d}Z"


@lru_cache(maxsize=256)
def _second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _shown(name: str, value: Any, redactor: Redactor) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is str:
        return redactor.text(value) if name in TEXTS else redactor.short(value)
    if kind is tuple and not value:
        return None
    return _shown_foreign(name, value, redactor)


def _shown_foreign(name: str, value: Any, redactor: Redactor) -> Any:
    """What is not of a plain type: exceptions, mappings, lists, and whatever a caller hands over."""
    if isinstance(value, BaseException):
        return {"type": type(value).__name__, "text": redactor.text(str(value))}
    if name in TEXTS:
        return redactor.text(str(value))
    if isinstance(value, Mapping):
        kept = {str(key): _shown(str(key), inner, redactor) for key, inner in islice(value.items(), _MAX_ITEMS)}
        return {key: inner for key, inner in kept.items() if inner is not None}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown("", inner, redactor) for inner in list(value)[:_MAX_ITEMS]]
    return _text(value, redactor)


def _text(value: Any, redactor: Redactor) -> str:
    """A text of any object, made here: a serializer in C that asks a broken object itself may take the process down."""
    try:
        shown = value.isoformat() if isinstance(value, datetime) else str(value.value if isinstance(value, Enum) else value)
    except Exception:  # a foreign object may raise anything when it is looked at
        return f"<{type(value).__name__}>"
    return redactor.short(shown)
