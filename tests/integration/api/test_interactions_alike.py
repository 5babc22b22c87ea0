"""The numbers are those that the monitor would have recorded in the agent's own process."""

from __future__ import annotations

import time
from datetime import UTC, datetime
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
from tests.integration.api.posting import post
from tests.integration.ingest.hot import everything, fields

TENANTS = ("airline", "retail", "telecom")
WHEN = int(time.time()) // 60 * 60 - 600
texts = st.sampled_from(["", "refund", "mia@example.com", "x" * 70, "ü"])
numbers = st.none() | st.integers(-1, 10**6) | st.floats(0, 10**5) | st.sampled_from([True, "7", 10**20])
tokens = st.none() | st.integers(0, 10**5) | st.just(-1)
calls = st.fixed_dictionaries(
    {}, optional={"duration_ms": numbers, "prompt_tokens": tokens, "completion_tokens": tokens, "cost_usd": numbers, "error": st.none() | texts}
)  # fmt: skip
searches = st.fixed_dictionaries(
    {},
    optional={
        "query": texts,
        "result_count": tokens,
        "similarity_scores": st.lists(numbers, max_size=3),
        "duration_ms": numbers,
    },
)
lines = st.fixed_dictionaries(
    {"tenant": st.sampled_from(TENANTS), "second": st.integers(0, 119)},
    optional={
        "conversation_id": st.sampled_from(["c-1", "c-2", "c-3"]), "model": st.sampled_from(["gpt-4o", "nobody's"]),
        "provider": st.just("openai"), "customer_message": texts, "agent_response": st.none() | texts,
        "completed": st.none() | st.booleans(), "processing_time_ms": st.none() | st.integers(0, 9_000) | st.floats(0, 9_000),
        "prompt_tokens": tokens, "completion_tokens": tokens, "estimated_cost_usd": numbers,
        "handoff_triggered": st.none() | st.booleans(), "handoff_reason": st.none() | texts, "intent": st.none() | texts,
        "confidence_score": numbers, "errors": st.none() | st.lists(st.fixed_dictionaries({"operation": texts}), max_size=2),
        "llm_calls": st.none() | st.lists(calls, max_size=2), "knowledge_searches": st.none() | st.lists(searches, max_size=2),
    },
)  # fmt: skip


def in_the_agents_process(line: dict[str, Any]) -> None:
    """What docs/recording.md says of each field, in the words of the monitor."""
    monitor, when = get_agent_monitor(line["tenant"]), WHEN + line["second"]
    conversation, model, provider = line.get("conversation_id"), line.get("model"), line.get("provider")
    for call in line.get("llm_calls") or []:
        monitor.log_and_record_llm_call(
            provider=provider or "", model=model or "", duration_ms=call.get("duration_ms"), cost=call.get("cost_usd"),
            prompt_tokens=call.get("prompt_tokens"), completion_tokens=call.get("completion_tokens"), error=call.get("error"),
            conversation_id=conversation, timestamp=when,
        )  # fmt: skip
    for search in line.get("knowledge_searches") or []:
        monitor.log_and_record_knowledge_search(
            query=search.get("query"), result_count=search.get("result_count"), duration_ms=search.get("duration_ms"),
            similarity_scores=search.get("similarity_scores", []), conversation_id=conversation, timestamp=when,
        )  # fmt: skip
    used = {name: line[name] for name in ("prompt_tokens", "completion_tokens") if line.get(name) is not None}
    monitor.log_and_record_interaction(
        conversation_id=conversation, customer_message=line.get("customer_message"), model_used=model,
        agent_response=None if line.get("completed") is False else line.get("agent_response") or "",
        confidence_score=line.get("confidence_score"), processing_time_ms=line.get("processing_time_ms"),
        token_usage=used or None, estimated_cost=line.get("estimated_cost_usd"), intent=line.get("intent"),
        handoff_triggered=line.get("handoff_triggered") is True, handoff_reason=line.get("handoff_reason"),
        errors=line.get("errors") or [], timestamp=when,
    )  # fmt: skip


def held() -> dict[tuple[str, int], Any]:
    store = HotStore.from_conf()
    return {
        (one.tenant, batch.minute): (one.fields, one.members)
        for shard in range(store.shards)
        for batch in store.backlog(shard)
        for one in store.read(shard, batch)
        if one.tenant != GLOBAL
    }


def summaries(client: Client) -> list[Any]:
    span = {name: datetime.fromtimestamp(at, UTC).isoformat() for name, at in (("from", WHEN), ("to", WHEN + 120))}
    answers = [client.get("/api/v1/metrics/summary", {**span, "tenant": tenant}) for tenant in ("", *TENANTS)]
    return [answer.json() for answer in answers if answer.status_code == 200]


@settings(max_examples=40, database=None, suppress_health_check=list(HealthCheck))
@given(rows=st.lists(lines, min_size=1, max_size=30))
def test_what_is_posted_counts_as_what_the_monitor_records(stores: None, valkey: redis.Redis, rows: list[Any]) -> None:
    valkey.flushall()
    for line in rows:
        in_the_agents_process(line)
    assert flush_now()
    reader = bearer()
    wanted, told, of_all = held(), summaries(reader), fields(everything(HotStore.from_conf()), GLOBAL)
    assert told
    valkey.flushall()
    sent = [
        {**line, "timestamp": datetime.fromtimestamp(WHEN + line["second"], UTC).isoformat(), "second": None} for line in rows
    ]
    answer = post(bearer(can_record=True), sent)
    assert (answer.status_code, answer.json()["accepted"]) == (202, len(rows)), answer.content
    assert held() == wanted
    assert fields(everything(HotStore.from_conf()), GLOBAL) == of_all
    assert summaries(reader) == told
