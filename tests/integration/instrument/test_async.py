"""Asynchronous agents, through the providers' own asynchronous client libraries."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import openai
import pytest

from apps.monitoring import AgentMonitor
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import everything, fields
from tests.integration.instrument.provider import FIRST_TOKEN_AFTER
from tests.integration.instrument.test_llm_call import ANTHROPIC, ASKED, OPENAI, first_token_ms, kinds, run

CLAUDE: Any = {"model": "claude-sonnet-4-6", "max_tokens": 50, "messages": ASKED}
GPT: Any = {"model": "gpt-4o", "messages": ASKED, "stream_options": {"include_usage": True}}
Open = Callable[[], Awaitable[Any]]


class Chat:
    """Work with both clients, and what it recorded."""

    def __init__(self, address: str, monitor: AgentMonitor, store: HotStore) -> None:
        self.address, self.monitor, self.store = address, monitor, store
        self.gpt = monitor.llm_call(provider="openai", model="gpt-4o")
        self.claude = monitor.llm_call(provider="anthropic", model="claude-sonnet-4-6")

    def run(self, work: Callable[[openai.AsyncOpenAI, anthropic.AsyncAnthropic], Awaitable[None]]) -> Any:
        async def inside() -> None:
            async with (
                openai.AsyncOpenAI(api_key="k", base_url=f"{self.address}/v1", max_retries=0) as gpt,
                anthropic.AsyncAnthropic(api_key="k", base_url=self.address, max_retries=0) as claude,
            ):
                await work(gpt, claude)

        run(inside())
        assert recorder.flush_now(10)
        return fields(everything(self.store), "acme")


@pytest.fixture
def chat(address: str, monitor: AgentMonitor, store: HotStore) -> Chat:
    return Chat(address, monitor, store)


def test_a_message_of_anthropics_asynchronous_client(chat: Chat) -> None:
    async def work(_: Any, claude: anthropic.AsyncAnthropic) -> None:
        @chat.claude
        async def ask() -> Any:
            return await claude.messages.create(**CLAUDE)

        assert [(await ask()).content[0].text for _ in range(2)] == ["Hello."] * 2
        async with chat.monitor.llm_call(provider="anthropic", model="claude-sonnet-4-6") as call:
            call.response(await claude.messages.create(**CLAUDE))

    found = chat.run(work)
    assert found["l\x1fanthropic:n"] == 3
    assert kinds(found, "anthropic") == {kind: 3 * count for kind, count in ANTHROPIC.items()}


def test_a_stream_that_a_decorated_coroutine_returns_is_followed_to_its_end(chat: Chat) -> None:
    async def work(gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
        @chat.gpt
        async def ask_gpt() -> Any:
            return await gpt.chat.completions.create(**GPT, stream=True)

        @chat.claude
        async def ask_claude() -> Any:
            return await claude.messages.create(**CLAUDE, stream=True)

        assert len([chunk async for chunk in await ask_gpt()]) == 4
        assert [event.type async for event in await ask_claude()][-1] == "message_stop"

    found = chat.run(work)
    assert (kinds(found, "openai"), kinds(found, "anthropic")) == (OPENAI, ANTHROPIC)
    for provider in ("openai", "anthropic"):
        assert found[f"ld\x1f{provider}:s"] / 1_000 > first_token_ms(found, provider) >= FIRST_TOKEN_AFTER * 1_000
        assert (found[f"l\x1f{provider}:n"], found[f"lx\x1f{provider}:n"]) == (1, 0)


def test_a_plain_function_that_returns_a_coroutine_is_waited_for(chat: Chat) -> None:
    async def work(gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
        await chat.gpt(lambda: gpt.chat.completions.create(model="gpt-4o", messages=ASKED))()
        stream = await chat.claude(lambda: claude.messages.create(**CLAUDE, stream=True))()
        assert len([event async for event in stream]) == 6
        assert await chat.monitor.knowledge_search()(lambda _: asyncio.sleep(0.05, ["a", "b"]))("refund") == ["a", "b"]

    found = chat.run(work)
    assert (kinds(found, "openai"), kinds(found, "anthropic")) == (OPENAI, ANTHROPIC)
    assert (found["k:n"], found["kr:s"], found["kd:s"] >= 50_000) == (1, 2, True)


@pytest.mark.parametrize("how", ["close", "aclose", "leave", "forget"])
def test_a_stream_that_is_given_up_is_cancelled_and_closed(chat: Chat, how: str) -> None:
    async def work(gpt: openai.AsyncOpenAI, claude: anthropic.AsyncAnthropic) -> None:
        @chat.gpt
        async def ask() -> Any:
            return await gpt.chat.completions.create(**GPT, stream=True)

        stream = await ask()
        response = stream.response
        if how == "leave":
            async with stream as inside:
                await anext(inside)
        else:
            await anext(stream)
        if how in {"close", "aclose"}:
            await getattr(stream, how)()
        if how == "forget":
            await response.aclose()
        assert response.is_closed
        del stream
        gc.collect()

    found = chat.run(work)
    assert (found["l\x1fopenai:n"], found["lx\x1fopenai:n"], found["le\x1fopenai:n"]) == (1, 1, 0)


def test_a_stream_that_is_read_to_its_end_inside_a_block_is_no_cancelled_one(chat: Chat) -> None:
    async def work(_: Any, claude: anthropic.AsyncAnthropic) -> None:
        @chat.claude
        async def ask() -> Any:
            return await claude.messages.create(**CLAUDE, stream=True)

        async with await ask() as stream:
            assert len([event async for event in stream]) == 6

    found = chat.run(work)
    assert (found["l\x1fanthropic:n"], found["lx\x1fanthropic:n"], found["le\x1fanthropic:n"]) == (1, 0, 0)
    assert kinds(found, "anthropic") == ANTHROPIC


def test_an_error_of_the_provider_counts_and_comes_back(chat: Chat) -> None:
    async def work(_: Any, claude: anthropic.AsyncAnthropic) -> None:
        @chat.claude
        async def ask() -> Any:
            return await claude.messages.create(**{**CLAUDE, "model": "failing"})

        with pytest.raises(anthropic.InternalServerError):
            await ask()

    found = chat.run(work)
    assert (found["l\x1fanthropic:n"], found["le\x1fanthropic:n"]) == (1, 1)


def test_contexts_and_searches_of_coroutines(chat: Chat) -> None:
    monitor = chat.monitor

    @monitor.knowledge_search(score=lambda hit: float(hit["score"]))
    async def search(query: str) -> list[dict[str, Any]]:
        await asyncio.sleep(0.02)
        return [{"text": query, "score": 0.75}] * 2

    @monitor.context_build()
    async def build() -> None:
        await asyncio.sleep(0.02)

    async def work(*_: Any) -> None:
        async with monitor.context_build() as context, monitor.knowledge_search(query="refund") as searched:
            found = searched.results(await search("refund"))
            context.add("documents", len(found))
        await asyncio.gather(*(build() for _ in range(3)))
        with pytest.raises(LookupError):
            async with monitor.context_build(), monitor.knowledge_search(query="refund"):
                raise LookupError

    found = chat.run(work)
    assert (found["x:n"], found["xc\x1fdocuments:s"], found["xd:s"] >= 4 * 20_000) == (4, 2, True)
    assert (found["k:n"], found["kh:n"], found["kr:s"], found["ks:s"]) == (2, 2, 4, 1_500_000)
    assert found["kd:s"] >= 2 * 20_000
    assert (found["e\x1fknowledge_search:n"], found["e\x1fcontext_build:n"]) == (1, 0)


def test_an_asynchronous_generator_that_is_closed_runs_to_its_own_end(chat: Chat) -> None:
    ended: list[bool] = []

    @chat.gpt
    async def words() -> AsyncIterator[str]:
        try:
            yield "Hel"
            yield "lo."
        finally:
            await asyncio.sleep(0)
            ended.append(True)

    async def work(*_: Any) -> None:
        stream: Any = words()
        assert await anext(stream) == "Hel"
        await stream.aclose()
        assert ended == [True]

    found = chat.run(work)
    assert (found["l\x1fopenai:n"], found["lx\x1fopenai:n"], found["le\x1fopenai:n"]) == (1, 1, 0)
