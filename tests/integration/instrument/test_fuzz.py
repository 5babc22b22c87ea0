"""20,000 pieces of work, of every kind and way, given hostile values at each place where the helpers look at something.

The other 80,000 inputs are in tests/integration/ingest: test_monitor.py and test_fuzz.py.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import redis

from apps.monitoring import AgentMonitor
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import everything, fields
from tests.integration.instrument.test_llm_call import run
from tests.unit.ingest.hostile import VALUES, Hostile, fresh

WORKS = 20_000
COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
ANSWERS = ("input_tokens", "output_tokens", "cache_read_input_tokens", "input_tokens_details", "prompt_tokens_details", *COUNTS)


@pytest.fixture
def store(valkey: redis.Redis, settings: Any) -> Iterator[HotStore]:
    settings.MONITORING_PRICING = "off"
    recorder.flush_now(5)
    valkey.flushall()
    recorder._begin_anew()
    logging.getLogger("apps.monitoring.instrument").setLevel(logging.CRITICAL)  # it says each of them
    yield HotStore.from_conf()
    logging.getLogger("apps.monitoring.instrument").setLevel(logging.NOTSET)
    recorder.flush_now(5)
    recorder._begin_anew()


class Chaos:
    """Does pieces of work; anything that one of them raises is raised."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.monitor = AgentMonitor("acme")
        self.made: Counter[str] = Counter()

    def value(self) -> Any:
        return self.random.choice((*VALUES, Hostile(), *fresh()))

    def answer(self) -> Any:
        """An answer, or a chunk of a stream, that holds hostile values, or is one."""
        usage = {name: self.value() for name in self.random.sample(ANSWERS, 3)}
        return self.random.choice(
            [
                self.value(),
                {"usage": self.value()},
                {"usage": usage},
                {"response": {"usage": usage}},
                {"type": self.value(), "choices": [{"delta": self.value()}], "usage": usage},
                {"choices": self.value()},
            ]
        )

    def llm_call(self) -> Any:
        self.made["l"] += 1
        return self.monitor.llm_call(provider=self.value(), model=self.value(), conversation_id=self.value())

    def context_build(self) -> Any:
        self.made["x"] += 1
        return self.monitor.context_build(conversation_id=self.value())

    def knowledge_search(self) -> Any:
        self.made["k"] += 1
        score = self.random.choice([None, lambda result: result["score"], lambda _: self.value()])
        return self.monitor.knowledge_search(query=self.value(), score=score, conversation_id=self.value())

    def any(self) -> Any:
        return self.random.choice([self.llm_call, self.context_build, self.knowledge_search])()

    def tell(self, work: Any) -> None:
        """Tell a piece of work what it may be told, hostilely."""
        if hasattr(work, "add"):
            work.add(self.value(), self.value())
        elif hasattr(work, "results"):
            work.results(self.value(), scores=self.random.choice([None, self.value()]))
        else:
            work.response(self.answer())
            work.usage(**{name: self.value() for name in self.random.sample(COUNTS, 2)})
            work.cost(self.value())
            work.failed(self.value())
            work.stream(self.value())
            list(work.stream(iter([self.answer(), self.answer()])))

    def synchronous(self) -> None:
        way = self.random.randrange(4)
        if way == 0:
            with self.any() as work:
                self.tell(work)
        elif way == 1:
            value = self.answer()
            found = self.any()(lambda _: value)(self.value())
            if found is not value:  # a stream, which the caller lets go
                found.close()
        elif way == 2:
            list(self.llm_call()(lambda: iter([self.answer(), self.answer()]))())
        else:

            def generate(_: Any) -> Iterator[Any]:
                yield self.answer()
                yield self.answer()

            assert len(list(self.any()(generate)(self.value()))) == 2

    async def asynchronous(self) -> None:
        way = self.random.randrange(4)

        async def generate(_: Any = None) -> AsyncIterator[Any]:
            yield self.answer()
            yield self.answer()

        async def answer(_: Any) -> Any:
            return value

        if way == 0:
            async with self.any() as work:
                self.tell(work)
        elif way == 1:
            value = self.answer()
            found = await self.any()(answer)(self.value())
            if found is not value:
                found.close()
        elif way == 2:
            value = generate()
            assert len([item async for item in await self.llm_call()(answer)(None)]) == 2
        else:
            assert len([item async for item in self.any()(generate)(self.value())]) == 2


def test_whatever_the_helpers_are_given_nothing_is_raised_and_every_piece_of_work_counts(store: HotStore) -> None:
    chaos = Chaos(41)

    async def work() -> None:
        for _ in range(WORKS // 2):
            await chaos.asynchronous()

    for _ in range(WORKS // 2):
        chaos.synchronous()
    run(work())
    assert recorder.flush_now(60)
    found = fields(everything(store), "acme")
    calls = sum(times for name, times in found.items() if name.startswith("l\x1f"))
    assert {"l": calls, "x": found["x:n"], "k": found["k:n"]} == chaos.made
    assert found["r\x1funreadable:n"] > 1_000
    assert recorder.recorder().flusher.counters["thread_errors"] == 0
    assert recorder.recorder().flusher.counters["flushes_refused"] == 0
