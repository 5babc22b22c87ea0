"""What a span counts as, from its attributes alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from apps.monitoring.spans.conventions import Kind
from apps.monitoring.spans.meaning import Meaning, meaning
from apps.monitoring.spans.span import Span

MS = 1_000_000


def read(
    operation: str | None, start: int = 1_000 * MS, end: int = 3_500 * MS, agents: tuple[str, ...] = (), /, **more: Any
) -> Meaning | None:
    attributes = {**({} if operation is None else {"gen_ai.operation.name": operation}), **more.pop("attributes", {})}
    return meaning(Span(attributes, {}, start, end, **more), agents)


def values(*arguments: Any, **more: Any) -> dict[str, Any]:
    found = read(*arguments, **more)
    assert found is not None
    return dict(found.values)


class TestCalls:
    @pytest.mark.parametrize("operation", ["chat", "generate_content", "text_completion", "embeddings"])
    def test_an_inference_is_a_call_with_what_is_said_of_it(self, operation: str) -> None:
        told = {
            "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o", "gen_ai.response.model": "gpt-4o-2024-08-06",
            "gen_ai.conversation.id": "c-1", "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20,
            "gen_ai.usage.cache_read.input_tokens": 40, "gen_ai.usage.cache_write.input_tokens": 10,
            "gen_ai.usage.reasoning.output_tokens": 5, "gen_ai.response.time_to_first_chunk": 0.25,
            "agent_monitor.estimated_cost_usd": 0.01,
        }  # fmt: skip
        assert read(operation, attributes=told) == Meaning(
            Kind.CALL,
            {
                "provider": "openai", "model": "gpt-4o-2024-08-06", "conversation_id": "c-1", "cost": 0.01, "duration_ms": 2_500.0,
                "token_usage": {
                    "prompt_tokens": 100, "completion_tokens": 20, "cache_read_tokens": 40, "cache_write_tokens": 10,
                    "reasoning_tokens": 5,
                },
                "error": None, "time_to_first_token_ms": 250.0,
            },
        )  # fmt: skip

    def test_older_names_say_the_same(self) -> None:
        told = {
            "gen_ai.system": "az.ai.openai", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.prompt_tokens": 7,
            "gen_ai.usage.completion_tokens": 3, "gen_ai.usage.cache_creation.input_tokens": 2,
        }  # fmt: skip
        found = values("chat", attributes=told)
        assert (found["provider"], found["model"]) == ("az.ai.openai", "gpt-4o")
        assert found["token_usage"] == {"prompt_tokens": 7, "completion_tokens": 3, "cache_write_tokens": 2}

    def test_the_current_name_goes_first(self) -> None:
        told = {
            "gen_ai.system": "old",
            "gen_ai.provider.name": "new",
            "gen_ai.usage.prompt_tokens": 1,
            "gen_ai.usage.input_tokens": 2,
        }
        found = values("chat", attributes=told)
        assert (found["provider"], found["token_usage"]) == ("new", {"prompt_tokens": 2})

    def test_what_is_missing_is_missing(self) -> None:
        assert values("chat", 0) == {
            "provider": "", "model": "", "conversation_id": None, "cost": None, "duration_ms": None, "token_usage": None,
            "error": None, "time_to_first_token_ms": None,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("told", "error"),
        [
            ({"attributes": {"error.type": "timeout"}}, "timeout"), ({"is_error": True, "message": "no answer"}, "no answer"),
            ({"is_error": True}, "error"), ({"is_error": True, "attributes": {"error.type": "429"}}, "429"), ({"message": "fine"}, None),
        ],
    )  # fmt: skip
    def test_a_failure_is_said_by_the_type_of_the_error_or_by_the_status(self, told: dict[str, Any], error: str | None) -> None:
        assert values("chat", **told)["error"] == error

    @pytest.mark.parametrize("value", ["0.5", True, [1], float("nan"), None])
    def test_no_time_is_made_of_what_is_none(self, value: Any) -> None:
        found = values("chat", attributes={"gen_ai.response.time_to_first_chunk": value})["time_to_first_token_ms"]
        assert found is value or found != found  # noqa: PLR0124 - not a number


class TestSearches:
    DOCUMENTS = ({"id": "a", "score": 0.9}, {"id": "b"}, {"id": "c", "score": None}, {"score": 0.1}, 5)

    @pytest.mark.parametrize("documents", [list(DOCUMENTS), json.dumps(DOCUMENTS)], ids=["as values", "as a text"])
    def test_what_was_found_is_counted_from_the_documents(self, documents: Any) -> None:
        told = {
            "gen_ai.retrieval.query.text": "refund",
            "gen_ai.retrieval.documents": documents,
            "gen_ai.conversation.id": "c-1",
        }
        assert read("retrieval", attributes=told) == Meaning(
            Kind.SEARCH,
            {
                "query": "refund",
                "conversation_id": "c-1",
                "result_count": 5,
                "similarity_scores": [0.9, 0.1],
                "duration_ms": 2_500.0,
            },
        )

    def test_without_documents_the_number_and_the_scores_are_what_is_said(self) -> None:
        told = {"agent_monitor.result_count": 2, "agent_monitor.similarity_scores": [0.5, 0.25]}
        found = values("retrieval", attributes=told)
        assert (found["result_count"], found["similarity_scores"]) == (2, [0.5, 0.25])

    def test_nothing_found_is_a_search_without_a_result(self) -> None:
        assert values("retrieval", attributes={"gen_ai.retrieval.documents": []})["result_count"] == 0

    @pytest.mark.parametrize("documents", [None, "secret", '{"a": 1}', 7, "[" * 60 + "]" * 60])
    def test_a_search_that_does_not_say_what_it_found_is_no_miss(self, documents: Any) -> None:
        found = read("retrieval", attributes={"gen_ai.retrieval.documents": documents})
        assert found == Meaning(Kind.REFUSAL, {"reason": "no_result_count"})

    def test_one_that_failed_is_an_error_as_with_the_monitor(self) -> None:
        told = {"error.type": "timeout", "gen_ai.retrieval.documents": []}
        assert read("retrieval", attributes=told) == Meaning(
            Kind.ERROR, {"operation": "knowledge_search", "exception": "timeout"}
        )

    def test_a_tool_is_a_search_when_it_says_so(self) -> None:
        found = {"agent_monitor.result_count": 1}
        assert values("execute_tool", attributes={**found, "gen_ai.tool.type": "datastore"})["result_count"] == 1
        for kind in ("function", "extension", None, 5, ["datastore"]):
            assert read("execute_tool", attributes={**found, "gen_ai.tool.type": kind}) is None


class TestInteractions:
    def test_what_an_agent_did_for_a_customer_is_an_interaction(self) -> None:
        told = {
            "gen_ai.conversation.id": "c-1", "gen_ai.request.model": "gpt-4o", "gen_ai.usage.input_tokens": 9,
            "gen_ai.input.messages": [
                {"role": "user", "parts": [{"type": "text", "content": "Hello"}]},
                {"role": "assistant", "parts": [{"type": "text", "content": "Yes?"}]},
                {"role": "user", "parts": [{"type": "text", "content": "My"}, {"type": "blob"}, {"type": "text", "content": "refund"}]},
                {"role": "tool", "parts": [{"type": "tool_call_response", "result": "x"}]},
            ],
            "gen_ai.output.messages": json.dumps([{"role": "assistant", "parts": [{"type": "text", "content": "It is sent."}]}]),
            "agent_monitor.handoff_triggered": True, "agent_monitor.handoff_reason": "angry", "agent_monitor.intent": "refund",
            "agent_monitor.confidence_score": 0.5, "agent_monitor.estimated_cost_usd": 0.002,
        }  # fmt: skip
        assert read("invoke_agent", attributes=told) == Meaning(
            Kind.INTERACTION,
            {
                "conversation_id": "c-1", "customer_message": "My\nrefund", "agent_response": "It is sent.", "model_used": "gpt-4o",
                "confidence_score": 0.5, "processing_time_ms": 2_500.0, "token_usage": {"prompt_tokens": 9}, "estimated_cost": 0.002,
                "handoff_triggered": True, "handoff_reason": "angry", "intent": "refund", "errors": [],
            },
        )  # fmt: skip

    @pytest.mark.parametrize(
        "captured", [None, "not JSON", 5, [], [5], [{"parts": 7}], [{"parts": [{"type": "text", "content": 5}]}]]
    )
    def test_it_is_answered_whatever_was_captured(self, captured: Any) -> None:
        found = values("invoke_agent", attributes={"gen_ai.output.messages": captured, "gen_ai.input.messages": captured})
        assert (found["agent_response"], found["customer_message"], found["errors"]) == ("", None, [])

    @pytest.mark.parametrize("captured", [None, [{"role": "assistant", "parts": [{"type": "text", "content": "sorry"}]}]])
    def test_a_failure_is_one_without_an_answer_whatever_was_captured(self, captured: Any) -> None:
        found = values("invoke_agent", attributes={"error.type": "timeout", "gen_ai.output.messages": captured})
        assert (found["agent_response"], found["errors"]) == (None, [{"operation": "invoke_agent", "type": "timeout"}])


class TestSubAgents:
    @pytest.mark.parametrize(
        ("told", "agents", "counts"),
        [
            ({}, (), True), ({"gen_ai.agent.name": "refunds"}, (), True),
            ({"agent_monitor.sub_agent": True}, (), False), ({"agent_monitor.sub_agent": False, "gen_ai.agent.parent.id": "a"}, (), True),
            ({"agent_monitor.sub_agent": "no"}, (), False),
            ({"gen_ai.agent.parent.id": "a"}, (), False), ({"gen_ai.agent.parent_id": "a"}, (), False),
            ({"gen_ai.agent.name": "front"}, ("front", "phone"), True), ({"gen_ai.agent.id": "front"}, ("front",), True),
            ({"gen_ai.agent.name": "refunds"}, ("front",), False), ({}, ("front",), False),
            ({"gen_ai.agent.name": ["front"]}, ("front",), False),
            ({"gen_ai.agent.name": "front", "agent_monitor.sub_agent": True}, ("front",), False),
            ({"gen_ai.agent.name": "refunds", "agent_monitor.sub_agent": False}, ("front",), True),
        ],
    )  # fmt: skip
    def test_which_agents_talk_to_customers_is_said_by_the_span_or_by_the_settings(
        self, told: dict[str, Any], agents: tuple[str, ...], counts: object
    ) -> None:
        assert (read("invoke_agent", 1, 2, agents, attributes=told) is not None) is counts


@pytest.mark.parametrize(
    "operation", [None, "", "create_agent", "invoke_workflow", "plan", "search_memory", "Chat", 5, ["chat"]]
)
def test_other_spans_are_nothing(operation: Any) -> None:
    assert read(operation) is None
