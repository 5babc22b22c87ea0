"""Objects that raise whenever they are looked at go through the helpers: nobody feels it, and it is counted."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from apps.monitoring import AgentMonitor
from apps.monitoring.instrument.answer import usage
from tests.unit.ingest.hostile import VALUES, Hostile, Raises, fresh


def refused(found: Counter[str]) -> dict[str, int]:
    return {name[2:-2]: times for name, times in found.items() if name.startswith("r\x1f")}


def test_parts_that_are_no_number_are_refused_and_the_others_count(monitor: AgentMonitor, recorded: Any) -> None:
    with monitor.context_build() as build:
        build.add("documents", 3)
        for parts in (None, "3", float("nan"), -1, Raises(), 10**400):
            build.add("documents", parts)  # type: ignore[arg-type]
        build.add([], 1)  # type: ignore[arg-type]
        build.add(Raises(), 1)  # type: ignore[arg-type]
        build.add("documents")
    found = recorded()
    assert (found["x:n"], found["xc\x1fdocuments:s"]) == (1, 4)
    assert refused(found) == {"not_a_number": 3, "not_finite": 1, "negative": 1, "too_large": 1, "unreadable": 2}


def test_counts_that_are_no_numbers_are_refused_and_the_others_count(monitor: AgentMonitor, recorded: Any) -> None:
    with monitor.llm_call(provider="p", model="m") as call:
        call.usage(prompt_tokens="7", cache_read_tokens=5)  # type: ignore[arg-type]
        call.usage(prompt_tokens="8", completion_tokens=3)  # type: ignore[arg-type]
    found = recorded()
    assert (found["l\x1fp:n"], found["lt\x1foutput\x1fp:s"], found["lt\x1fcache_read\x1fp:s"]) == (1, 3, 5)
    assert refused(found) == {"not_a_number": 1}


def test_a_stream_that_cannot_be_followed_is_the_callers_own_again(monitor: AgentMonitor, recorded: Any) -> None:
    for stream in (Hostile(), Raises(), None, 7):
        with monitor.llm_call(provider="p", model="m") as call:
            assert call.stream(stream) is stream
    found = recorded()
    assert (found["l\x1fp:n"], found["lx\x1fp:n"]) == (4, 0)
    assert refused(found) == {"unreadable": 4}


@pytest.mark.parametrize("kind", [Hostile, Raises])
def test_what_a_decorated_function_returns_comes_back_whatever_it_is(
    monitor: AgentMonitor, recorded: Any, kind: type[Any]
) -> None:
    value = kind()
    for decorate in (monitor.llm_call(provider="p", model="m"), monitor.context_build(), monitor.knowledge_search()):
        assert decorate(lambda: value)() is value
    found = recorded()
    assert (found["l\x1fp:n"], found["lx\x1fp:n"], found["x:n"], found["k:n"]) == (1, 0, 1, 1)


def test_endless_scores_hold_nobody(monitor: AgentMonitor, recorded: Any) -> None:
    for scores in fresh():
        with monitor.knowledge_search(query="refund") as searched:
            searched.results([1, 2], scores=scores)
    found = recorded()
    assert (found["k:n"], found["kh:n"]) == (5, 5)


def test_reading_the_usage_of_anything_raises_nothing() -> None:
    for value in (*VALUES, Hostile()):
        for answer in (value, {"usage": value}, {"usage": {"input_tokens": value, "cache_read_input_tokens": value}}):
            assert isinstance(usage(answer), dict)


def test_a_usage_that_cannot_be_read_is_refused_where_it_is_counted(monitor: AgentMonitor, recorded: Any) -> None:
    monitor.log_and_record_interaction(conversation_id="c", agent_response="yes", token_usage=usage(Hostile()))
    assert refused(recorded()) == {"not_a_number": 1}


def test_labels_may_be_called_as_the_arguments_are(monitor: AgentMonitor, recorded: Any) -> None:
    monitor.count("carts", 2, name="a", value="b", self="c")
    monitor.sample("basket", 5.0, name="a", value="b")
    monitor.count(name="carts", value=3)
    monitor.count("carts", value=4)
    monitor.sample(name="basket", value=6.0)
    monitor.sample("basket")
    found = recorded()
    assert found['ucarts\x1f{"name":"a","self":"c","value":"b"}:n'] == 2
    assert found["ucarts:n"] == 7
    assert (found['vbasket\x1f{"name":"a","value":"b"}:s'], found["vbasket:s"]) == (5_000_000, 6_000_000)
    assert refused(found) == {"not_a_number": 1}
