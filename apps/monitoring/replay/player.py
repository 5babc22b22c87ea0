"""Plays an interaction of a recording through the monitor, as the agent's own code would have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from apps.monitoring.monitor import AgentMonitor
from apps.monitoring.replay.recording import Line


def play(line: Line, start: float) -> None:
    """Record one interaction with everything in it, at its own time; ``start`` is offset 0 in epoch seconds."""
    row, when = line.row, start + line.ended_ms / 1_000
    monitor = AgentMonitor(line.tenant, pricing=False)  # a cost that was not recorded is not known
    for call in row.get("llm_calls") or ():
        if isinstance(call, Mapping):
            _play_call(monitor, row, call, when)
    for search in row.get("knowledge_searches") or ():
        if isinstance(search, Mapping):
            _play_search(monitor, row, search, when)
    answered = bool(row.get("completed", True))
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


def _play_call(monitor: AgentMonitor, row: Mapping[str, Any], call: Mapping[str, Any], when: float) -> None:
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


def _play_search(monitor: AgentMonitor, row: Mapping[str, Any], search: Mapping[str, Any], when: float) -> None:
    monitor.log_and_record_knowledge_search(
        query=search.get("query"),
        result_count=search.get("result_count"),
        similarity_scores=search.get("similarity_scores") or (),
        duration_ms=search.get("duration_ms"),
        conversation_id=row.get("conversation_id"),
        timestamp=when,
    )


def _tokens(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row.get("prompt_tokens") is None and row.get("completion_tokens") is None:
        return None
    return {"prompt_tokens": row.get("prompt_tokens"), "completion_tokens": row.get("completion_tokens")}


def _operation(error: object) -> object:
    if isinstance(error, Mapping):
        return error.get("operation") or error.get("kind")
    return error
