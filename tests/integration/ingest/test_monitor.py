"""What an agent's code calls, through the real recorder to a real hot store."""

from __future__ import annotations

import gc
import random
import threading
import tracemalloc
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from apps.monitoring import AgentMonitor, get_agent_monitor
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import HOSTILE_EVENTS, everything, fields, interactions
from tests.unit.ingest.hostile import VALUES, Raises, fresh

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "log_and_record_interaction": (
        "conversation_id", "customer_message", "agent_response", "model_used", "confidence_score", "processing_time_ms",
        "token_usage", "estimated_cost", "handoff_triggered", "handoff_reason", "intent", "errors", "timestamp",
    ),
    "log_and_record_llm_call": (
        "provider", "model", "duration_ms", "prompt_tokens", "completion_tokens", "token_usage", "cost", "error", "cancelled",
        "time_to_first_token_ms", "conversation_id", "timestamp",
    ),
    "log_and_record_context_build": ("conversation_id", "components", "duration_ms", "timestamp"),
    "log_and_record_handoff_decision": ("decision", "conversation_id", "confidence", "triggers", "reason", "timestamp"),
    "log_and_record_knowledge_search": (
        "query", "result_count", "similarity_scores", "duration_ms", "conversation_id", "timestamp",
    ),
    "log_and_record_error": ("operation", "exception", "context", "timestamp"),
    "record_feedback": ("score", "conversation_id", "timestamp"),
    "count": ("name", "value", "country"),
    "sample": ("name", "value", "country"),
}  # fmt: skip
MAIN = {
    "log_and_record_interaction": "i:n",
    "log_and_record_context_build": "x:n",
    "log_and_record_knowledge_search": "k:n",
}


@pytest.fixture
def store(valkey: redis.Redis) -> Iterator[HotStore]:
    recorder.flush_now(5)
    valkey.flushall()
    recorder._begin_anew()
    yield HotStore.from_conf()
    recorder.flush_now(5)
    recorder._begin_anew()


def test_whatever_a_caller_hands_over_nothing_is_raised_and_every_event_counts(store: HotStore) -> None:
    generator = random.Random(17)
    monitor, made = get_agent_monitor(tenant_id="acme"), Counter[str]()
    for _ in range(HOSTILE_EVENTS * 3 // 5):
        name = generator.choice(list(ARGUMENTS))
        arguments = {argument: generator.choice((*VALUES, *fresh())) for argument in ARGUMENTS[name]}
        getattr(monitor, name)(**arguments)
        made[name] += 1
    assert recorder.flush_now(60)
    found = fields(everything(store), "acme")
    assert {name: found[code] for name, code in MAIN.items()} == {name: made[name] for name in MAIN}
    assert recorder.recorder().flusher.counters["thread_errors"] == 0
    assert recorder.recorder().flusher.counters["flushes_refused"] == 0


@pytest.mark.parametrize("at", range(len(VALUES)))
def test_whatever_a_tenant_is_called_its_interactions_count(store: HotStore, at: int) -> None:
    for monitor in (get_agent_monitor(VALUES[at]), AgentMonitor(VALUES[at])):
        assert monitor.tenant_id
        monitor.log_and_record_interaction(conversation_id="c", agent_response="yes")
    assert recorder.flush_now(10)
    assert interactions(store) == 2


@pytest.mark.parametrize("tenant", [None, "", "  ", "\x00", Raises()])
def test_a_tenant_without_a_name_is_unknown_and_not_everybody(tenant: Any) -> None:
    assert get_agent_monitor(tenant).tenant_id == AgentMonitor(tenant).tenant_id == "unknown"


def test_the_monitor_of_a_tenant_is_the_same_each_time() -> None:
    assert get_agent_monitor("acme") is get_agent_monitor(tenant_id="acme")


def test_what_the_caller_changes_afterwards_changes_nothing(store: HotStore) -> None:
    monitor = get_agent_monitor("acme")
    for number in range(2_000):
        usage, errors = {"prompt_tokens": 1, "completion_tokens": 2}, [{"operation": "crm"}]
        monitor.log_and_record_interaction(conversation_id=f"c-{number}", agent_response="", token_usage=usage, errors=errors)
        usage["prompt_tokens"] = 1_000_000
        errors.clear()
    assert recorder.flush_now(10)
    found = fields(everything(store), "acme")
    assert (found["t\x1finput:s"], found["t\x1foutput:s"], found["e\x1fcrm:n"]) == (2_000, 4_000, 2_000)


@pytest.mark.parametrize("attempt", range(15))
def test_a_flush_has_flushed_everything_that_was_recorded_before_it(store: HotStore, attempt: int) -> None:
    monitor = get_agent_monitor("acme")
    for number in range(2_500 + attempt * 37):  # past the point where the merging thread is woken
        monitor.log_and_record_interaction(conversation_id=f"c-{number}", agent_response="yes")
    assert recorder.flush_now(10)
    assert interactions(store, "acme") == 2_500 + attempt * 37


def test_many_threads_record_at_once_and_everything_counts(store: HotStore, settings: Any) -> None:
    settings.MONITORING_QUEUE_SIZE = 500  # the callers merge themselves when it is full
    recorder._begin_anew()

    def work(number: int) -> None:
        monitor = get_agent_monitor(f"tenant-{number % 3}")
        for turn in range(2_000):
            monitor.log_and_record_interaction(conversation_id=f"c-{turn}", agent_response="yes", processing_time_ms=turn)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush_now(20)
    assert interactions(store) == 12_000
    assert [interactions(store, f"tenant-{number}") for number in range(3)] == [4_000] * 3


def test_in_direct_mode_it_is_there_when_the_call_returns(store: HotStore, settings: Any) -> None:
    settings.MONITORING_WRITE_MODE = "direct"
    recorder._begin_anew()
    get_agent_monitor("acme").log_and_record_interaction(conversation_id="c", agent_response="yes")
    assert interactions(store, "acme") == 1


def test_long_texts_fill_the_queue_and_the_caller_merges_its_own(store: HotStore, settings: Any) -> None:
    settings.MONITORING_QUEUE_BYTES = 100_000
    recorder._begin_anew()
    monitor = get_agent_monitor("acme")
    for number in range(500):
        monitor.log_and_record_interaction(conversation_id=f"c-{number}", agent_response="x" * 1_000_000, timestamp=1767571200)
    merged = recorder.recorder().flusher.counters["merged_by_caller"]
    assert recorder.flush_now(20)
    assert merged > 100
    assert fields(everything(store), "acme")["i:n"] == 500


def test_long_names_fill_the_queue_too(store: HotStore, settings: Any) -> None:
    settings.MONITORING_QUEUE_BYTES = 10_000_000
    settings.MONITORING_LOG_PATH = ""
    recorder._begin_anew()
    monitor = get_agent_monitor("acme")
    with recorder.recorder()._draining:
        tracemalloc.start()
        try:
            for number in range(2_000):
                long = f"{number}-" + "x" * 25_000
                monitor.log_and_record_interaction(
                    conversation_id=long, agent_response="yes", intent=long + "y", timestamp=1767571200
                )
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert kept < 20_000_000
    assert recorder.flush_now(20)
    found = fields(everything(store), "acme")
    assert (found["i:n"], found["in\x1fother:n"]) == (2_000, 2_000)


class Nameless(type):
    """A class of which nobody can ask the name."""

    @property
    def __name__(cls) -> str:
        raise ZeroDivisionError


class OddError(Exception, metaclass=Nameless): ...


def test_what_cannot_be_handed_over_is_counted_as_lost_and_costs_neither_the_caller_nor_another_event(store: HotStore) -> None:
    monitor = get_agent_monitor("acme")
    for _ in range(3):
        monitor.log_and_record_error("crm", OddError())
        monitor.log_and_record_error("crm", ValueError())
    assert recorder.flush_now(10)
    assert fields(everything(store), "")["me\x1fevents_lost:n"] == 3
    assert fields(everything(store), "acme")["e\x1fcrm:n"] == 3


def test_a_helper_that_cannot_hand_over_counts_it_as_lost_and_goes_on(store: HotStore) -> None:
    class Broken(AgentMonitor):
        def log_and_record_llm_call(self, **_: Any) -> None:
            raise ZeroDivisionError

    with Broken("acme").llm_call(provider="openai", model="gpt-4o"):
        pass
    assert recorder.flush_now(10)
    assert fields(everything(store), "")["me\x1fevents_lost:n"] == 1


def test_without_a_place_to_send_to_no_call_raises_and_later_ones_count(store: HotStore, settings: Any) -> None:
    monitor, address = get_agent_monitor("acme"), settings.REDIS_URL
    settings.REDIS_URL = ""
    monitor.log_and_record_interaction(conversation_id="c", agent_response="yes")
    monitor.lost()
    settings.REDIS_URL = address
    monitor.log_and_record_interaction(conversation_id="c", agent_response="yes")
    assert recorder.flush_now(10)
    assert interactions(store, "acme") == 1


HANDED_OVER: dict[str, Callable[[AgentMonitor, Exception], None]] = {
    "error": lambda monitor, error: monitor.log_and_record_error("crm", error),
    "interaction": lambda monitor, error: monitor.log_and_record_interaction(
        conversation_id="c", agent_response="sorry", errors=[{"operation": "crm", "exception": error}, error]
    ),
    "llm_call": lambda monitor, error: monitor.log_and_record_llm_call(provider="openai", model="gpt-4o", error=error),
}


@pytest.mark.parametrize("way", HANDED_OVER)
def test_an_exception_that_waits_holds_none_of_its_frames(store: HotStore, way: str) -> None:
    class Held:
        pass

    def fail() -> weakref.ref[Held]:
        held = Held()
        alive = weakref.ref(held)
        try:
            int("no number")
        except ValueError as error:
            HANDED_OVER[way](get_agent_monitor("acme"), error)
        return alive

    with recorder.recorder()._draining:
        alive = fail()
        gc.collect()
        assert alive() is None
