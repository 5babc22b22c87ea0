"""An interaction as a line of JSON says it, of a recording and of a request alike: what is wrong with it, what it counts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

from apps.monitoring.conf import conf
from apps.monitoring.core.values import MAX_FUTURE_SECONDS, MAX_PAST_SECONDS
from apps.monitoring.monitor import AgentMonitor
from apps.monitoring.query import window
from apps.monitoring.query.errors import RangeError

Row = Mapping[str, Any]

CALLS: Final = "llm_calls"
SEARCHES: Final = "knowledge_searches"
_SECONDS_OF_DAY: Final = 86_400
_LONGEST_TIMESTAMP: Final = 64
LISTS: Final = (CALLS, SEARCHES, "errors")
_FLAGS: Final = ("completed", "handoff_triggered")


class BrokenError(ValueError):
    """A line that is no interaction, or a span that cannot be counted; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Broken:
    """The same as a value, with its number, from 1."""

    number: int
    reason: str


def parsed(text: bytes) -> Row:
    """The row of a line. Raises BrokenError."""
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BrokenError(f"no JSON: {error}") from None
    return checked(row)


def checked(row: object) -> Row:
    """A value that is a row. Raises BrokenError; whose it is and when it was are the caller's to check."""
    if not isinstance(row, dict):
        raise BrokenError("no JSON object")
    if row.get("processing_time_ms") is not None and not is_number(row["processing_time_ms"]):
        raise BrokenError("processing_time_ms is no number")
    for name in LISTS:
        if not isinstance(row.get(name) or [], list):
            raise BrokenError(f"{name} is no list")
    for name in _FLAGS:
        if row.get(name) not in (None, True, False):
            raise BrokenError(f"{name} is neither true nor false")
    return row


def is_number(value: object) -> TypeGuard[float]:
    """Whether it is a finite number of JSON."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def misplaced(ended: float, now: float) -> str | None:
    """Why nothing can be counted at this time, in epoch seconds, or would not be kept; None when it can."""
    if not now - MAX_PAST_SECONDS <= ended <= now + MAX_FUTURE_SECONDS:
        return "it ends over ten years back, or over an hour ahead"
    if ended < now - conf().retention_day_days * _SECONDS_OF_DAY:
        return f"it ends {(now - ended) / _SECONDS_OF_DAY:.0f} days back; see MONITORING_RETENTION_DAY_DAYS"
    return None


def ended(row: Row, now: float) -> float:
    """When it ended by its ``timestamp``, in epoch seconds; ``now`` when it does not say. Raises BrokenError."""
    text = row.get("timestamp")
    if text is None:
        return now
    if not isinstance(text, str) or len(text) > _LONGEST_TIMESTAMP or not text.isprintable():
        raise BrokenError("timestamp is no ISO 8601 time with a zone, such as 2026-01-05T00:00:00Z")
    try:
        when = window.moment(text.upper(), "timestamp").timestamp()
    except RangeError as error:
        raise BrokenError(str(error)) from None
    reason = misplaced(when, now)
    if reason is not None:
        raise BrokenError(reason)
    return when


def play(row: Row, monitor: AgentMonitor, when: float) -> None:
    """Record the interaction with everything in it as the agent's own code would have, at ``when`` in epoch seconds."""
    for call in row.get(CALLS) or ():
        if isinstance(call, Mapping):
            _play_call(monitor, row, call, when)
    for search in row.get(SEARCHES) or ():
        if isinstance(search, Mapping):
            _play_search(monitor, row, search, when)
    completed = row.get("completed")
    answered = completed is None or bool(completed)
    monitor.log_and_record_interaction(
        conversation_id=row.get("conversation_id"),
        customer_message=row.get("customer_message"),
        agent_response=(row.get("agent_response") or "") if answered else None,
        model_used=row.get("model"),
        confidence_score=row.get("confidence_score"),
        processing_time_ms=row.get("processing_time_ms"),
        token_usage=_tokens(row),
        estimated_cost=row.get("estimated_cost_usd"),
        handoff_triggered=bool(row.get("handoff_triggered")),
        handoff_reason=row.get("handoff_reason"),
        intent=row.get("intent"),
        errors=[{"operation": _operation(error)} for error in row.get("errors") or ()],
        timestamp=when,
    )


def _play_call(monitor: AgentMonitor, row: Row, call: Row, when: float) -> None:
    monitor.log_and_record_llm_call(
        provider=row.get("provider") or "",
        model=row.get("model") or "",
        duration_ms=call.get("duration_ms"),
        prompt_tokens=call.get("prompt_tokens"),
        completion_tokens=call.get("completion_tokens"),
        cost=call.get("cost_usd"),
        error=call.get("error"),
        conversation_id=row.get("conversation_id"),
        timestamp=when,
    )


def _play_search(monitor: AgentMonitor, row: Row, search: Row, when: float) -> None:
    monitor.log_and_record_knowledge_search(
        query=search.get("query"),
        result_count=search.get("result_count"),
        similarity_scores=search.get("similarity_scores") or (),
        duration_ms=search.get("duration_ms"),
        conversation_id=row.get("conversation_id"),
        timestamp=when,
    )


def _tokens(row: Row) -> dict[str, Any] | None:
    if row.get("prompt_tokens") is None and row.get("completion_tokens") is None:
        return None
    return {"prompt_tokens": row.get("prompt_tokens"), "completion_tokens": row.get("completion_tokens")}


def _operation(error: object) -> object:
    if isinstance(error, Mapping):
        return error.get("operation") or error.get("kind")
    return error
