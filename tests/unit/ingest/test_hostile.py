"""One value of one event is hostile: it is refused or counted, and everything else counts as if it were not there."""

from __future__ import annotations

from typing import Any

import pytest

from apps.monitoring.ingest.buffer import Buffer
from tests.unit.ingest.hostile import VALUES, fresh
from tests.unit.ingest.made import KINDS, NOW, counted, event, refused

TOUCHES: dict[str, dict[str, tuple[str, ...]]] = {
    "agent_interaction": {
        "conversation_id": ("cv", "hc"),
        "customer_message": (),
        "agent_response": ("ia", "rt", "if", "e/"),
        "model_used": ("m/", "c/"),
        "confidence_score": ("cf",),
        "processing_time_ms": ("rt",),
        "token_usage": ("t/", "it"),
        "estimated_cost": ("c/",),
        "handoff_triggered": ("h/", "hc"),
        "handoff_reason": ("h/",),
        "intent": ("in/",),
        "errors": ("if", "e/"),
    },
    "llm_api_call": {
        "conversation_id": (),
        "provider": ("l/", "le/", "ld/", "lt/", "lc/"),
        "model": (),
        "duration_ms": ("ld/",),
        "token_usage": ("lt/",),
        "cost": ("lc/",),
        "error": ("le/",),
    },
    "context_building": {"conversation_id": (), "components": ("xc/",), "duration_ms": ("xd",)},
    "handoff_decision": {"conversation_id": (), "decision": ("hd/",), "confidence": (), "triggers": (), "reason": ()},
    "knowledge_search": {
        "conversation_id": (),
        "query": (),
        "result_count": ("kr", "kh"),
        "similarity_scores": ("ks",),
        "duration_ms": ("kd",),
    },
    "error": {"operation": ("e/",), "exception": (), "context": ()},
    "feedback": {"conversation_id": (), "score": ("f:",)},
}
"""Which series an argument has a say in, by the beginning of their codes."""

CASES = [(kind, name) for kind, arguments in TOUCHES.items() for name in arguments]


def untouched(found: dict[str, Any], prefixes: tuple[str, ...]) -> dict[str, Any]:
    return {name: value for name, value in found.items() if not name.startswith(("r/", "o/", *prefixes))}


def test_every_argument_of_every_event_is_tried() -> None:
    assert {kind: set(KINDS[kind][0]) for kind in TOUCHES} == {kind: set(arguments) for kind, arguments in TOUCHES.items()}


@pytest.mark.parametrize(("kind", "name"), CASES)
def test_a_hostile_value_spoils_nothing_but_its_own_series(kind: str, name: str) -> None:
    other = {"handoff_triggered": True} if kind == "agent_interaction" else {}
    good = untouched(counted(event(kind, **other)), TOUCHES[kind][name])
    for value in (*VALUES, *fresh()):
        found = counted(event(kind, **{**other, name: value}))
        assert untouched(found, TOUCHES[kind][name]) == good, f"{type(value)} as {name}"
        assert "unreadable" not in refused(found) or name not in {"customer_message", "query", "exception", "context"}


@pytest.mark.parametrize("name", ["processing_time_ms", "estimated_cost", "confidence_score"])
@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("7", "not_a_number"), (True, "not_a_number"), (float("nan"), "not_finite"),
        (float("inf"), "not_finite"), (-1, "negative"), (-1e308, "negative"), (10**15, "too_large"), (1e308, "too_large"),
        (10**400, "too_large"),
    ],
)  # fmt: skip
def test_a_refused_value_is_counted_under_its_reason(name: str, value: object, reason: str) -> None:
    assert refused(counted(event("agent_interaction", **{name: value}))) == {reason: 1}


@pytest.mark.parametrize("name", ["name", "value"])
def test_a_metric_of_the_users_own_is_counted_or_refused(name: str) -> None:
    for value in VALUES:
        found = counted(event("user_metric", **{name: value}))
        assert sum(refused(found).values()) + sum(key.startswith("u") for key in found) == 1, f"{type(value)} as {name}"


def test_a_hostile_time_is_refused_and_the_event_counts_now() -> None:
    for value in VALUES:
        buffer = Buffer(100)
        buffer.merge([event("error", timestamp=value), event("error")])
        assert sum(slot.counters["e\x1fcrm"] for slot in buffer.take().values()) == 2


def test_an_event_without_its_arguments_is_counted_as_unreadable() -> None:
    buffer = Buffer(100)
    buffer.merge([["agent_interaction", "acme", NOW, None, None]])
    (slot,) = buffer.take().values()
    assert slot.counters == {"r\x1funreadable": 1}
