"""The numbers are those that the monitor would have recorded in the agent's own process, however the spans are grouped."""

from __future__ import annotations

import json
import time
from typing import Any

import redis
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.monitoring import get_agent_monitor
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import flush_now
from tests.integration.api.conftest import bearer
from tests.integration.api.exporting import KINDS, export, rejected
from tests.integration.api.test_interactions_alike import TENANTS, WHEN, held, summaries
from tests.integration.ingest.hot import everything, fields
from tests.unit.spans.exported import SECOND, Sent

texts = st.sampled_from(["", "refund", "mia@example.com", "x" * 70, "ü"])
numbers = st.integers(-1, 10**6) | st.floats(0, 10**5) | st.sampled_from([True, "7", 10**18])
tokens = st.integers(-1, 10**5)
conversations = st.sampled_from(["c-1", "c-2", "c-3"])
common: dict[str, Any] = {
    "conversation": conversations,
    "model": st.sampled_from(["gpt-4o", "nobody's"]),
    "failed": st.just("timeout"),
}
usage: dict[str, Any] = {"input": tokens, "output": tokens, "cached": tokens, "cost": numbers}
calls = st.fixed_dictionaries(
    {"is": st.just("chat")}, optional={**common, **usage, "provider": st.sampled_from(["openai", "elsewhere"]), "first": st.floats(0, 9)}
)  # fmt: skip
searches = st.fixed_dictionaries(
    {"is": st.just("retrieval"), "found": st.lists(st.none() | st.floats(0, 1), max_size=3)},
    optional={"conversation": conversations, "query": texts, "failed": st.just("timeout")},
)
turns = st.fixed_dictionaries(
    {"is": st.just("invoke_agent")},
    optional={
        **common, **usage, "handed": st.booleans(), "reason": texts, "intent": texts, "confidence": numbers,
        "asked": texts, "answer": texts,
    },
)  # fmt: skip
happened = st.tuples(
    calls | searches | turns, st.sampled_from(TENANTS), st.integers(0, 119), st.none() | st.integers(0, 9_000)
)  # fmt: skip


def in_the_agents_process(what: dict[str, Any], tenant: str, second: int, ms: int | None) -> None:
    """What docs/opentelemetry.md says of each attribute, in the words of the monitor."""
    monitor, when, failed = get_agent_monitor(tenant), WHEN + second, what.get("failed")
    names = {"input": "prompt_tokens", "output": "completion_tokens", "cached": "cache_read_tokens"}
    used = {name: what[short] for short, name in names.items() if short in what} or None
    if what["is"] == "chat":
        monitor.log_and_record_llm_call(
            provider=what.get("provider", ""), model=what.get("model", ""), duration_ms=ms, token_usage=used, cost=what.get("cost"),
            error=failed, time_to_first_token_ms=what["first"] * 1_000 if "first" in what else None,
            conversation_id=what.get("conversation"), timestamp=when,
        )  # fmt: skip
    elif what["is"] == "retrieval" and failed:
        monitor.log_and_record_error("knowledge_search", failed, timestamp=when)
    elif what["is"] == "retrieval":
        monitor.log_and_record_knowledge_search(
            query=what.get("query"), result_count=len(what["found"]), duration_ms=ms, timestamp=when,
            similarity_scores=[score for score in what["found"] if score is not None], conversation_id=what.get("conversation"),
        )  # fmt: skip
    else:
        monitor.log_and_record_interaction(
            conversation_id=what.get("conversation"), customer_message=what.get("asked"), model_used=what.get("model"),
            agent_response=None if failed else what.get("answer", ""), processing_time_ms=ms, token_usage=used,
            estimated_cost=what.get("cost"), handoff_triggered=what.get("handed", False), handoff_reason=what.get("reason"),
            intent=what.get("intent"), confidence_score=what.get("confidence"),
            errors=[{"operation": "invoke_agent", "type": failed}] if failed else [], timestamp=when,
        )  # fmt: skip


NAMES = {
    "is": "gen_ai.operation.name", "conversation": "gen_ai.conversation.id", "model": "gen_ai.request.model",
    "provider": "gen_ai.provider.name", "failed": "error.type", "input": "gen_ai.usage.input_tokens",
    "output": "gen_ai.usage.output_tokens", "cached": "gen_ai.usage.cache_read.input_tokens",
    "cost": "agent_monitor.estimated_cost_usd", "first": "gen_ai.response.time_to_first_chunk",
    "query": "gen_ai.retrieval.query.text", "handed": "agent_monitor.handoff_triggered", "reason": "agent_monitor.handoff_reason",
    "intent": "agent_monitor.intent", "confidence": "agent_monitor.confidence_score",
}  # fmt: skip


def as_span(number: int, what: dict[str, Any], tenant: str, second: int, ms: int | None) -> Sent:
    attributes = {NAMES[name]: value for name, value in what.items() if name in NAMES}
    if "found" in what:
        attributes["gen_ai.retrieval.documents"] = [
            {"id": "d"} | ({} if one is None else {"score": one}) for one in what["found"]
        ]
    for name, role, attribute in (
        ("asked", "user", "gen_ai.input.messages"),
        ("answer", "assistant", "gen_ai.output.messages"),
    ):
        if name in what:
            attributes[attribute] = json.dumps([{"role": role, "parts": [{"type": "text", "content": what[name]}]}])
    end = (WHEN + second) * SECOND
    start = 0 if ms is None else end - ms * 1_000_000
    return Sent(attributes, start, end, resource={"tenant.id": tenant}, span_id=number.to_bytes(8, "big"))


def counted(reader: Client) -> Any:
    return held(), fields(everything(HotStore.from_conf()), GLOBAL), summaries(reader)


@settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
@given(spans=st.lists(happened, min_size=1, max_size=30), data=st.data())
def test_spans_in_any_grouping_and_order_count_as_what_the_monitor_records(
    stores: None, valkey: redis.Redis, spans: list[Any], data: st.DataObject
) -> None:
    valkey.flushall()
    for one in spans:
        in_the_agents_process(*one)
    assert flush_now()
    reader, sender = bearer(), bearer(can_record=True)
    wanted = counted(reader)
    ready = [as_span(number, *one) for number, one in enumerate(spans)]
    for _ in range(2):
        valkey.flushall()
        left = data.draw(st.permutations(ready))
        while left:
            size = data.draw(st.integers(1, len(left)))
            group, left = left[:size], left[size:]
            kind, times = data.draw(st.sampled_from(KINDS)), data.draw(st.integers(1, 2))
            for _ in range(times):
                assert rejected(export(sender, *group, kind=kind)) == (0, "")
        assert counted(reader) == wanted


def test_what_is_said_twice_of_a_span_in_another_group_counts_twice(stores: None) -> None:
    """The bound of what the digest of a body is good for, as docs/opentelemetry.md says it."""
    sender = bearer("airline", can_record=True)
    ended = int(time.time()) * SECOND
    spans = [Sent({"gen_ai.operation.name": "invoke_agent"}, ended, ended, span_id=bytes([n] * 8)) for n in (1, 2)]
    export(sender, *spans)
    export(sender, *spans)
    export(sender, spans[0])
    assert fields(everything(HotStore.from_conf()), "airline")["i:n"] == 3
