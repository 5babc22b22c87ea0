from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core import distinct, histogram
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.core.summary import summarize

COUNTS = {
    "sample_count", "conversation_count", "interactions_without_tokens", "unpriced_interactions", "total_handoffs", "total_searches",
    "total", "count", "answered",
}  # fmt: skip
"""What is counted is 0 when nothing happened; every other statistic is unknown then."""


def leaves(block: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(block, dict):
        for key, value in block.items():
            yield from leaves(value, key)
    elif isinstance(block, list):
        for value in block:
            yield from leaves(value, name)
    else:
        yield name, block


def amount(times: int, total: int) -> Cell:
    return Cell(count=times, sum=total)


def distribution(*values: int) -> Cell:
    cell = Cell()
    for value in values:
        cell.merge(Cell(1, value, value, value, {histogram.bucket_of(value): 1}))
    return cell


def members(*names: str) -> Cell:
    return Cell(count=len(names), sketches=[distinct.encode([distinct.hash_of(name) for name in names])])


def test_a_statistic_of_nothing_is_none_and_never_nought() -> None:
    found = list(leaves(summarize({})))
    assert {name: value for name, value in found if name in COUNTS} == dict.fromkeys(COUNTS, 0)
    assert [(name, value) for name, value in found if name not in COUNTS and value is not None] == []


def test_what_is_unknown_stays_unknown_beside_what_is_known() -> None:
    found = summarize({SeriesKey("interactions"): Cell(count=3), SeriesKey("conversations"): members("a", "b")})
    assert found["cost"] == {
        "total_usd": None,
        "avg_per_conversation_usd": None,
        "avg_per_token_usd": None,
        "by_model": {},
        "unpriced_interactions": 3,
    }
    assert found["token_usage"]["total_tokens"] is None
    assert found["token_usage"]["avg_per_conversation"] is None
    assert found["handoff"]["handoff_rate"] == 0.0
    assert found["errors"]["error_rate"] == 0.0


def test_a_cost_of_nought_is_a_cost() -> None:
    found = summarize({SeriesKey("cost", ("free",)): amount(2, 0), SeriesKey("conversations"): members("a")})
    assert found["cost"]["total_usd"] == 0
    assert found["cost"]["avg_per_conversation_usd"] == 0


def test_the_blocks_are_in_the_units_that_users_read() -> None:
    found = summarize(
        {
            SeriesKey("interactions"): Cell(count=4),
            SeriesKey("interactions_answered"): Cell(count=3),
            SeriesKey("interactions_failed"): Cell(count=1),
            SeriesKey("conversations"): members("a", "b"),
            SeriesKey("handoff_conversations"): members("b"),
            SeriesKey("handoffs", ("angry",)): Cell(count=2),
            SeriesKey("response_time"): distribution(1_000_000, 1_000_000, 4_000_000),
            SeriesKey("interactions_with_tokens"): Cell(count=3),
            SeriesKey("tokens", ("input",)): amount(3, 200),
            SeriesKey("tokens", ("cache_read",)): amount(1, 100),
            SeriesKey("tokens", ("output",)): amount(3, 70),
            SeriesKey("tokens", ("reasoning",)): amount(1, 30),
            SeriesKey("cost", ("gpt-4o",)): amount(2, 30_000_000),
            SeriesKey("cost", ("mini",)): amount(1, 10_000_000),
            SeriesKey("model_usage", ("gpt-4o",)): Cell(count=3),
            SeriesKey("model_usage", ("mini",)): Cell(count=1),
            SeriesKey("intents", ("refund",)): Cell(count=1),
            SeriesKey("intents", ("order",)): Cell(count=3),
            SeriesKey("errors", ("crm",)): Cell(count=2),
            SeriesKey("knowledge_searches"): Cell(count=4),
            SeriesKey("knowledge_hits"): Cell(count=3),
            SeriesKey("knowledge_results"): amount(4, 10),
            SeriesKey("knowledge_similarity"): amount(2, 1_000_000),
            SeriesKey("confidence"): distribution(500_000, 1_000_000),
            SeriesKey("feedback"): amount(2, 9_000_000),
            SeriesKey("llm_calls", ("openai",)): Cell(count=4),
            SeriesKey("llm_call_errors", ("openai",)): Cell(count=1),
            SeriesKey("llm_call_duration", ("openai",)): distribution(2_000_000),
        }
    )
    assert found["interactions"] == {"total": 4, "answered": 3}
    times = found["response_time"]
    assert (times["sample_count"], times["mean_ms"], times["min_ms"], times["max_ms"], times["p99_ms"]) == (
        3,
        2_000,
        1_000,
        4_000,
        4_000,
    )
    assert found["token_usage"] == {
        "total_tokens": 400,
        "prompt_tokens": 300,
        "completion_tokens": 100,
        "by_kind": {"input": 200, "cache_read": 100, "output": 70, "reasoning": 30},
        "avg_per_conversation": 200,
        "conversation_count": 2,
        "interactions_without_tokens": 1,
    }
    assert found["cost"] == {
        "total_usd": 0.04,
        "avg_per_conversation_usd": 0.02,
        "avg_per_token_usd": 0.0001,
        "by_model": {"gpt-4o": 0.03, "mini": 0.01},
        "unpriced_interactions": 1,
    }
    assert found["handoff"] == {"total_handoffs": 2, "handoff_rate": 0.5, "by_reason": {"angry": 2}}
    assert found["knowledge_base"] == {"total_searches": 4, "hit_rate": 0.75, "avg_results": 2.5, "avg_similarity_score": 0.5}
    assert found["model_usage"] == {
        "gpt-4o": {"count": 3, "share": 0.75, "cost_usd": 0.03},
        "mini": {"count": 1, "share": 0.25, "cost_usd": 0.01},
    }
    assert found["confidence"] == {"mean": 0.75, "p50": found["confidence"]["p50"], "sample_count": 2}
    assert found["intents"] == [{"intent": "order", "count": 3, "share": 0.75}, {"intent": "refund", "count": 1, "share": 0.25}]
    assert found["errors"] == {"total": 2, "error_rate": 0.25, "by_operation": {"crm": 2}}
    assert found["feedback"] == {"count": 2, "mean": 4.5}
    assert found["llm_calls"]["by_provider"] == {"openai": {"count": 4, "error_rate": 0.25, "p95_ms": 2_000}}
    assert (found["llm_calls"]["total"], found["llm_calls"]["error_rate"], found["llm_calls"]["p95_ms"]) == (4, 0.25, 2_000)


@settings(deadline=None, database=None, max_examples=100)
@given(st.lists(st.lists(st.integers(0, 10**9), min_size=1, max_size=5), min_size=1, max_size=6), st.randoms())
def test_cells_merge_in_any_order_and_grouping(parts: list[list[int]], random: Any) -> None:
    def merged(groups: list[list[int]]) -> Cell:
        whole = Cell()
        for group in groups:
            whole.merge(distribution(*group))
        return whole

    shuffled = list(parts)
    random.shuffle(shuffled)
    assert merged(parts) == merged(shuffled) == distribution(*(value for part in parts for value in part))


def test_the_conversations_of_a_range_are_a_union_and_not_a_sum() -> None:
    cell = members("a", "b")
    cell.merge(members("b", "c"))
    assert summarize({SeriesKey("conversations"): cell})["token_usage"]["conversation_count"] == 3
