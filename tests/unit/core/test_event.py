"""What an event is reckoned to take in memory."""

from __future__ import annotations

from typing import Any

import pytest

from apps.monitoring.core.event import Failure, size, size_of_others
from tests.unit.ingest.made import KINDS, event

LONG = "x" * 10_000

EVERYWHERE: list[tuple[str, dict[str, Any]]] = [
    ("agent_interaction", {"conversation_id": LONG}),
    ("agent_interaction", {"model_used": LONG}),
    ("agent_interaction", {"intent": LONG}),
    ("agent_interaction", {"errors": ["crm", LONG]}),
    ("agent_interaction", {"errors": [{"operation": LONG}]}),
    ("llm_api_call", {"provider": LONG}),
    ("llm_api_call", {"model": LONG}),
    ("context_building", {"components": {LONG: 1}}),
    ("handoff_decision", {"triggers": ("anger", LONG)}),
    ("knowledge_search", {"similarity_scores": [0.5] * 1_000}),
    ("error", {"operation": LONG}),
    ("error", {"context": {"a": LONG}}),
    ("error", {"context": {"a": [1, LONG]}}),
    ("feedback", {"conversation_id": LONG}),
    ("user_metric", {"name": LONG}),
    ("user_metric", {"labels": {"country": LONG}}),
]


@pytest.mark.parametrize(("kind", "arguments"), EVERYWHERE)
def test_whatever_is_long_is_reckoned_with(kind: str, arguments: dict[str, Any]) -> None:
    assert size_of_others(event(kind, **arguments)) >= 10_000
    assert size(event(kind, **arguments)) >= 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_short_is_next_to_nothing(kind: str) -> None:
    assert size(event(kind)) < 1_000


@pytest.mark.parametrize("text", [LONG, Failure("ValueError", LONG)])
def test_a_text_is_no_name(text: object) -> None:
    assert size(event("llm_api_call", error=text)) - size_of_others(event("llm_api_call", error=text)) >= 10_000


def test_lists_that_hold_each_other_or_that_never_end_are_looked_at_in_part() -> None:
    endless: list[Any] = [LONG]
    endless.append(endless)
    assert 10_000 <= size_of_others(event("error", context={"a": endless, "b": list(range(1_000_000))})) < 30_000
