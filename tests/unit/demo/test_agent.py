"""The agent tells the monitor what happens, in order, and knows what it does not know."""

from __future__ import annotations

import random
from itertools import groupby

import pytest

from apps.monitoring.demo.agent import AgentService
from apps.monitoring.demo.clock import Clock
from apps.monitoring.demo.customer import Message
from apps.monitoring.demo.documents import DOCUMENTS
from apps.monitoring.demo.incidents import CALM, INCIDENTS, Incident
from apps.monitoring.demo.parameters import BEHAVIOURS
from apps.monitoring.logs.redaction import Redactor
from tests.unit.demo.ledger import START, Ledger, minutes_of_traffic

QUESTION = "Can I reserve a seat with more legroom?"
REFUSING = Incident("refusing", "No call gets through.", "", call_failure=1.0)
STUCK = Incident("stuck", "No call comes back.", "", slower=10_000.0)


def answer(
    incident: Incident = CALM, text: str = QUESTION, *, wants_human: bool = False, seed: int = 1
) -> tuple[Ledger, float]:
    """One question answered; what was told, and the seconds it took."""
    ledger, clock = Ledger(), Clock(START)
    agent = AgentService(BEHAVIOURS["airline"], DOCUMENTS["airline"], ledger.monitor("airline"), clock, random.Random(seed))
    for wait in agent.answer(Message("c-1", 3, text, "seat", wants_human), incident):
        clock.now += wait
    return ledger, clock.now - START


def test_the_calls_come_in_the_order_of_the_work() -> None:
    for seed in range(20):
        ledger, _ = answer(seed=seed)
        assert [method.removeprefix("log_and_record_") for method, _ in groupby(told.method for told in ledger.calls)] == [
            "knowledge_search",
            "context_build",
            "llm_call",
            "handoff_decision",
            "interaction",
        ]
        assert {told.said["conversation_id"] for told in ledger.calls} == {"c-1"}


def test_an_interaction_takes_as_long_as_its_steps_and_costs_as_much_as_its_calls() -> None:
    for seed in range(40):
        ledger, seconds = answer(seed=seed)
        (interaction,) = ledger.of("interaction")
        calls = [told.said for told in ledger.of("llm_call")]
        assert interaction.said["timestamp"] == START + seconds
        assert interaction.said["processing_time_ms"] == pytest.approx(seconds * 1_000, abs=0.01)
        parts = calls + [told.said for told in ledger.of("knowledge_search") + ledger.of("context_build")]
        pauses = 500 * sum(said["error"] is not None for said in calls)
        assert sum(said["duration_ms"] for said in parts) + pauses == pytest.approx(seconds * 1_000, abs=0.05)
        calls = [said for said in calls if said["error"] is None]
        assert interaction.said["estimated_cost"] == pytest.approx(sum(said["cost"] for said in calls), abs=1e-9)
        usage = interaction.said["token_usage"]
        assert usage["prompt_tokens"] == sum(said["prompt_tokens"] for said in calls)
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_the_answer_quotes_the_document_found() -> None:
    (interaction,) = answer()[0].of("interaction")
    assert "Choosing a seat" in interaction.said["agent_response"]


def test_a_refused_call_is_tried_again_and_then_there_is_no_answer() -> None:
    ledger, _ = answer(REFUSING)
    calls = [told.said for told in ledger.of("llm_call")]
    assert [type(said["error"]).__name__ for said in calls] == ["RateLimitError", "RateLimitError"]
    assert {(said["prompt_tokens"], said["cost"]) for said in calls} == {(None, None)}
    (interaction,) = ledger.of("interaction")
    assert interaction.said["agent_response"] is None
    assert interaction.said["errors"] == [{"operation": "llm_call", "type": "RateLimitError"}] * 2
    unknown = ("token_usage", "estimated_cost", "confidence_score")
    assert [interaction.said[name] for name in unknown] == [None, None, None]


def test_the_agent_waits_no_longer_than_its_deadline() -> None:
    ledger, seconds = answer(STUCK)
    assert [told.said["duration_ms"] for told in ledger.of("llm_call")] == [pytest.approx(30_000, abs=0.01)] * 2
    assert {error["type"] for error in ledger.of("interaction")[0].said["errors"]} == {"DeadlineError"}
    assert 60 < seconds < 61


def test_a_customer_who_wants_a_human_gets_one() -> None:
    ledger, _ = answer(wants_human=True)
    (decision,), (interaction,) = ledger.of("handoff_decision"), ledger.of("interaction")
    assert (decision.said["decision"], decision.said["reason"]) == (True, "customer_request")
    assert (interaction.said["handoff_triggered"], interaction.said["handoff_reason"]) == (True, "customer_request")
    assert not answer()[0].of("interaction")[0].said["handoff_triggered"]


def test_an_empty_knowledge_base_finds_nothing_and_the_agent_says_so() -> None:
    ledger, _ = answer(INCIDENTS["empty-knowledge-base"])
    (search,) = ledger.of("knowledge_search")
    assert (search.said["result_count"], search.said["similarity_scores"]) == (0, [])
    assert "found nothing" in ledger.of("interaction")[0].said["agent_response"]


def test_a_dear_model_with_long_prompts_costs_many_times_as_much() -> None:
    (normal,), (dear,) = answer()[0].of("interaction"), answer(INCIDENTS["cost-spike"])[0].of("interaction")
    assert dear.said["estimated_cost"] > 30 * normal.said["estimated_cost"]
    assert (normal.said["model_used"], dear.said["model_used"]) == ("gpt-4.1", "claude-opus-4-6")


def test_messages_hold_addresses_and_numbers_for_redaction_to_find() -> None:
    messages = [told.said["customer_message"] for told in minutes_of_traffic(1)[0].of("interaction")]
    assert not [text for text in messages if "{" in text]
    assert sum("@example.com" in text for text in messages) > 50
    assert sum("+1 202 555" in text for text in messages) > 50
    redact = Redactor()
    for text in messages:
        redacted = redact.text(text)
        assert "@example.com" not in redacted
        assert "202 555" not in redacted
