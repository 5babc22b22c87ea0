"""A decorated function does for its callers what it did before, whatever kind of function it is, and is recorded once."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import pytest

from apps.monitoring import AgentMonitor
from apps.monitoring.instrument.llm_call import LLMCall
from tests.integration.instrument.provider import CHAT_USAGE
from tests.integration.instrument.test_llm_call import kinds, run

Recorded = Callable[[], Counter[str]]


@pytest.fixture
def call(monitor: AgentMonitor) -> LLMCall:
    return monitor.llm_call(provider="p", model="m")


def calls(found: Counter[str]) -> tuple[int, int, int]:
    """How many calls there were, how many failed, how many were cancelled."""
    return found["l\x1fp:n"], found["le\x1fp:n"], found["lx\x1fp:n"]


class TestGenerators:
    def test_what_is_sent_arrives_and_what_is_returned_comes_back(self, call: LLMCall, recorded: Recorded) -> None:
        @call
        def loop() -> Generator[str, str | None, str]:
            got = yield "ask"
            while got is not None:
                got = yield f"echo {got}"
            return "enough"

        talk = loop()
        assert [next(talk), talk.send("a"), talk.send("b")] == ["ask", "echo a", "echo b"]
        with pytest.raises(StopIteration, match="enough"):
            next(talk)
        assert calls(recorded()) == (1, 0, 0)

    def test_what_is_thrown_arrives_and_fails_nothing_when_it_is_handled(self, call: LLMCall, recorded: Recorded) -> None:
        @call
        def build() -> Iterator[str]:
            try:
                yield "first"
            except KeyError:
                yield "handled"

        first, second = build(), build()
        assert [next(first), first.throw(KeyError("x")), list(first)] == ["first", "handled", []]
        next(second)
        with pytest.raises(ValueError, match="y"):
            second.throw(ValueError("y"))
        assert calls(recorded()) == (2, 1, 0)

    def test_a_context_manager_still_swallows(self, monitor: AgentMonitor, recorded: Recorded) -> None:
        @contextmanager
        @monitor.context_build()
        def session() -> Iterator[int]:
            with suppress(KeyError):
                yield 1

        with session() as given:
            assert given == 1
            raise KeyError
        found = recorded()
        assert (found["x:n"], found["e\x1fcontext_build:n"]) == (1, 0)

    def test_a_generator_that_is_closed_runs_to_its_own_end(self, call: LLMCall, recorded: Recorded) -> None:
        ended: list[bool] = []

        @call
        def words() -> Iterator[str]:
            try:
                yield "Hel"
                yield "lo."
            finally:
                ended.append(True)

        stream: Any = words()
        next(stream)
        stream.close()
        assert ended == [True]
        assert calls(recorded()) == (1, 0, 1)


class TestAsynchronousGenerators:
    def test_what_is_sent_and_thrown_arrives(self, call: LLMCall, recorded: Recorded) -> None:
        @call
        async def loop() -> AsyncIterator[str]:
            got = yield "ask"  # type: ignore[misc]
            try:
                yield f"echo {got}"
            except KeyError:
                yield "handled"

        async def work() -> None:
            talk: Any = loop()
            assert [await anext(talk), await talk.asend("a"), await talk.athrow(KeyError("x"))] == ["ask", "echo a", "handled"]
            assert [item async for item in talk] == []

        run(work())
        assert calls(recorded()) == (1, 0, 0)

    def test_a_context_manager_still_swallows(self, monitor: AgentMonitor, recorded: Recorded) -> None:
        @asynccontextmanager
        @monitor.context_build()
        async def session() -> AsyncIterator[int]:
            with suppress(KeyError):
                yield 1

        async def work() -> None:
            async with session():
                raise KeyError

        run(work())
        found = recorded()
        assert (found["x:n"], found["e\x1fcontext_build:n"]) == (1, 0)


async def later(value: Any) -> Any:
    await asyncio.sleep(0.02)
    if isinstance(value, Exception):
        raise value
    return value


class TestTasks:
    """A plain function that starts a task: its caller gets this very task."""

    def test_it_is_recorded_when_it_is_done(self, call: LLMCall, recorded: Recorded) -> None:
        async def work() -> None:
            own = asyncio.ensure_future(later({"usage": CHAT_USAGE}))
            task = call(lambda: own)()
            assert task is own
            assert (await task)["usage"] == CHAT_USAGE

        run(work())
        found = recorded()
        assert calls(found) == (1, 0, 0)
        assert kinds(found, "p")["reasoning"] == 20
        assert found["ld\x1fp:s"] >= 20_000

    def test_it_fails_and_is_cancelled_for_the_caller_as_before(self, call: LLMCall, recorded: Recorded) -> None:
        async def work() -> None:
            with pytest.raises(LookupError):
                await call(lambda: asyncio.ensure_future(later(LookupError())))()
            task = call(lambda: asyncio.ensure_future(later(1)))()
            await asyncio.sleep(0)
            assert task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        run(work())
        assert calls(recorded()) == (2, 1, 1)

    def test_a_failure_that_nobody_looks_at_is_told_by_asyncio_as_before(
        self, call: LLMCall, recorded: Recorded, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def work() -> None:
            await asyncio.wait([call(lambda: asyncio.ensure_future(later(LookupError())))()])

        run(work())
        assert "Task exception was never retrieved" in caplog.text
        assert calls(recorded()) == (1, 1, 0)


class Request:
    """As those of asyncpg's `pool.acquire()` and of redis-py: awaited or entered, and more than that."""

    timeout = 5

    async def _answer(self) -> Any:
        return await later({"usage": CHAT_USAGE})

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._answer().__await__()

    async def __aenter__(self) -> Any:
        return await self._answer()

    async def __aexit__(self, *_: object) -> None:
        self.left = True

    def __len__(self) -> int:
        return 7


class Posted(Request, Coroutine[Any, Any, Any]):
    """As aiohttp's `session.post()`: a task can run it."""

    def __init__(self) -> None:
        self._coroutine = self._answer()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *raised: Any) -> Any:
        return self._coroutine.throw(*raised)

    def close(self) -> None:
        self._coroutine.close()


class Client:
    """As redis-py's: awaited and entered, it is ready, and itself."""

    def __await__(self) -> Generator[Any, Any, Any]:
        return later(self).__await__()

    async def __aenter__(self) -> Any:
        return await self

    async def __aexit__(self, *_: object) -> None:
        """Nothing to close."""


class TestOtherAwaitables:
    """A plain function that returns one: its caller can do with it what the function allows."""

    def test_it_is_awaited(self, call: LLMCall, recorded: Recorded) -> None:
        async def work() -> None:
            assert (await call(Request)())["usage"] == CHAT_USAGE
            await asyncio.gather(call(Request)(), call(Request)())

        run(work())
        found = recorded()
        assert (calls(found), kinds(found, "p")["reasoning"]) == ((3, 0, 0), 60)

    def test_it_is_entered(self, call: LLMCall, recorded: Recorded) -> None:
        async def work() -> None:
            request = Request()
            async with call(lambda: request)() as answer:
                assert answer["usage"] == CHAT_USAGE
            assert request.left

        run(work())
        found = recorded()
        assert (calls(found), kinds(found, "p")["reasoning"]) == ((1, 0, 0), 20)

    def test_everything_else_is_its_own(self, call: LLMCall, recorded: Recorded) -> None:
        own = Request()
        request = call(lambda: own)()
        request.timeout = 9
        assert (own.timeout, request.timeout, len(request), repr(request)) == (9, 9, 7, repr(own))
        assert isinstance(request, Request)
        assert not isinstance(request, AsyncIterator | Coroutine)
        assert isinstance(copy.copy(request), Request)
        assert calls(recorded()) == (0, 0, 0), "nobody waited for it"

    def test_it_is_run_as_a_task(self, call: LLMCall, recorded: Recorded) -> None:
        async def work() -> None:
            assert (await asyncio.create_task(call(Posted)()))["usage"] == CHAT_USAGE
            given_up, never = asyncio.create_task(call(Posted)()), call(Posted)()
            never.close()
            await asyncio.sleep(0)
            given_up.cancel()
            with pytest.raises(asyncio.CancelledError):
                await given_up

        run(work())
        assert calls(recorded()) == (2, 0, 1)

    def test_one_that_comes_to_itself_is_not_waited_for_twice(self, call: LLMCall, recorded: Recorded) -> None:
        async def work() -> None:
            own = Client()
            assert await call(lambda: own)() is own
            async with call(lambda: own)() as entered:
                assert entered is own

        run(work())
        assert calls(recorded()) == (2, 0, 0)

    def test_one_that_fails_is_a_failed_call(self, call: LLMCall, recorded: Recorded) -> None:
        class Failing(Request):
            async def _answer(self) -> Any:
                await later(LookupError())

        async def work() -> None:
            with pytest.raises(LookupError):
                await call(Failing)()

        run(work())
        assert calls(recorded()) == (1, 1, 0)
