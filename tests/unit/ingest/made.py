"""Made events, and what a buffer makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import strategies as st

from apps.monitoring.catalogue import Kind
from apps.monitoring.core.event import FIELDS, Event
from apps.monitoring.ingest.buffer import Buffer, Slots

NOW = 1_767_571_200.0

INTERACTION: dict[str, Any] = {
    "conversation_id": "c-1",
    "customer_message": None,
    "agent_response": "yes",
    "model_used": "gpt-4o",
    "confidence_score": 0.75,
    "processing_time_ms": 1_200.0,
    "token_usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
    "estimated_cost": 0.01,
    "handoff_triggered": False,
    "handoff_reason": None,
    "intent": "refund",
    "errors": (),
}
LLM_CALL: dict[str, Any] = {
    "conversation_id": None,
    "provider": "openai",
    "model": "gpt-4o",
    "duration_ms": 800,
    "token_usage": {"prompt_tokens": 7, "completion_tokens": 3},
    "cost": 0.5,
    "error": None,
}
CONTEXT: dict[str, Any] = {"conversation_id": None, "components": {"history": 4, "documents": 3}, "duration_ms": 2.5}
DECISION: dict[str, Any] = {"conversation_id": None, "decision": True, "confidence": 0.2, "triggers": (), "reason": None}
SEARCH: dict[str, Any] = {
    "conversation_id": None,
    "query": None,
    "result_count": 2,
    "similarity_scores": [0.5, -0.25],
    "duration_ms": 12,
}
ERROR: dict[str, Any] = {"operation": "crm", "exception": None, "context": None}
FEEDBACK: dict[str, Any] = {"conversation_id": None, "score": 4}
COUNTED: dict[str, Any] = {"name": "carts", "kind": Kind.COUNTER, "value": 3, "labels": {"country": "de"}}
SAMPLED: dict[str, Any] = {"name": "basket", "kind": Kind.HISTOGRAM, "value": 19.5, "labels": {}}

KINDS: dict[str, list[dict[str, Any]]] = {
    "agent_interaction": [INTERACTION],
    "llm_api_call": [LLM_CALL],
    "context_building": [CONTEXT],
    "handoff_decision": [DECISION],
    "knowledge_search": [SEARCH],
    "error": [ERROR],
    "feedback": [FEEDBACK],
    "user_metric": [COUNTED, SAMPLED],
}


def flat(kind: str, tenant: str, when: float, timestamp: object, values: Mapping[str, Any], belongs: Any = None) -> Event:
    """An event of values by name; one that is not named was not said."""
    unknown = values.keys() - set(FIELDS[kind])
    assert not unknown, f"{kind} has no {', '.join(unknown)}"
    return [kind, tenant, when, timestamp, belongs, *map(values.get, FIELDS[kind])]


def event(kind: str, /, when: float = NOW, tenant: str = "acme", timestamp: object = None, **arguments: object) -> Event:
    return flat(kind, tenant, when, timestamp, {**KINDS[kind][0], **arguments})


def merged(events: Iterable[Event], label_cap: int = 100) -> Slots:
    buffer = Buffer(label_cap)
    buffer.merge(list(events))
    return buffer.take()


def fields(slots: Slots) -> dict[tuple[int, str], dict[str, Any]]:
    """Everything that slots would write, comparable, whatever the order it came in."""
    return {
        where: {
            **dict(slot.sums()),
            **dict(slot.lows()),
            **dict(slot.highs()),
            **{code: frozenset(members) for code, members in slot.members.items()},
        }
        for where, slot in slots.items()
    }


def counted(*events: Event, label_cap: int = 100) -> dict[str, Any]:
    """The fields of events of one tenant and minute, labels after a slash."""
    (found,) = fields(merged(events, label_cap)).values()
    return {name.replace("\x1f", "/"): value for name, value in found.items()}


def refused(found: dict[str, Any]) -> dict[str, int]:
    return {name[2:-2]: value for name, value in found.items() if name.startswith("r/")}


_texts = st.sampled_from(["a", "b", "gpt-4o", "", "x" * 80, None])
_numbers = st.none() | st.floats(0, 1e6) | st.integers(0, 10**6)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """A good event of any type, of three tenants over three minutes."""
    kind = draw(st.sampled_from(list(KINDS)))
    arguments = dict(draw(st.sampled_from(KINDS[kind])))
    if kind == "agent_interaction":
        arguments |= {
            "conversation_id": draw(st.sampled_from(["c-1", "c-2", "c-3"])),
            "agent_response": draw(st.sampled_from(["yes", None])),
            "model_used": draw(_texts),
            "intent": draw(_texts),
            "processing_time_ms": draw(_numbers),
            "estimated_cost": draw(_numbers),
            "handoff_triggered": draw(st.booleans()),
            "token_usage": draw(st.none() | st.dictionaries(st.sampled_from(["prompt_tokens", "completion_tokens"]), _numbers)),
            "errors": draw(st.lists(st.sampled_from(["crm", {"operation": "llm"}]), max_size=2)),
        }
    elif kind == "user_metric":
        arguments["value"] = draw(st.integers(0, 10**6))
    return flat(
        kind,
        draw(st.sampled_from(["acme", "bolt", "cyan"])),
        NOW + draw(st.sampled_from([0.0, 59.9, 60.0, 120.0])),
        None,
        arguments,
    )
