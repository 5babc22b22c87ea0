"""Calls to language models through the providers' own client libraries, recorded by the helpers."""

from __future__ import annotations

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any

import anthropic
import openai
import pytest

from apps.monitoring import AgentMonitor
from tests.integration.instrument.provider import FIRST_TOKEN_AFTER

ASKED: Any = [{"role": "user", "content": "Hello?"}]
OPENAI = {"input": 20, "cache_read": 100, "output": 10, "reasoning": 20}
ANTHROPIC = {"input": 15, "cache_read": 100, "cache_write": 5, "output": 30}


@pytest.fixture
def chat(address: str) -> openai.OpenAI:
    return openai.OpenAI(api_key="k", base_url=f"{address}/v1", max_retries=0)


@pytest.fixture
def claude(address: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(api_key="k", base_url=address, max_retries=0)


def run(work: Coroutine[Any, Any, Any]) -> None:
    """In a thread of its own: a browser test before may have left its event loop in this one."""
    failures: list[BaseException] = []

    def target() -> None:
        try:
            asyncio.run(work)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]


def kinds(found: Counter[str], provider: str) -> dict[str, int]:
    suffix = f"\x1f{provider}:s"
    return {
        name.removeprefix("lt\x1f").removesuffix(suffix): value
        for name, value in found.items()
        if name.startswith("lt\x1f") and name.endswith(suffix)
    }


def first_token_ms(found: Counter[str], provider: str) -> float:
    return found[f"lf\x1f{provider}:s"] / 1_000


class TestOpenAI:
    def test_a_chat_completion(self, monitor: AgentMonitor, chat: openai.OpenAI, recorded: Any) -> None:
        with monitor.llm_call(provider="openai", model="gpt-4o") as call:
            call.response(chat.chat.completions.create(model="gpt-4o", messages=ASKED))
        found = recorded()
        assert kinds(found, "openai") == OPENAI
        assert found["l\x1fopenai:n"] == 1
        assert found["ld\x1fopenai:s"] > 0
        # 2.50 and 1.25 USD a million tokens read fresh and from the cache, 10 USD written
        assert found["lc\x1fopenai:s"] == 20 * 2_500 + 100 * 1_250 + 30 * 10_000
        assert any(name.startswith("cc\x1fgenai-prices ") for name in found)

    def test_a_response(self, monitor: AgentMonitor, chat: openai.OpenAI, recorded: Any) -> None:
        @monitor.llm_call(provider="openai", model="gpt-4o")
        def ask(question: str) -> Any:
            return chat.responses.create(model="gpt-4o", input=question)

        assert ask("Hello?").output_text == "Hello."
        assert kinds(recorded(), "openai") == OPENAI

    def test_a_streamed_chat_completion(self, monitor: AgentMonitor, chat: openai.OpenAI, recorded: Any) -> None:
        with monitor.llm_call(provider="openai", model="gpt-4o") as call:
            stream = chat.chat.completions.create(
                model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}
            )
            said = [chunk.choices[0].delta.content for chunk in call.stream(stream) if chunk.choices]
        assert said == ["", "Hel", "lo."]
        found = recorded()
        assert kinds(found, "openai") == OPENAI
        assert first_token_ms(found, "openai") >= FIRST_TOKEN_AFTER * 1_000

    def test_a_streamed_response_that_a_decorated_function_returns(
        self, monitor: AgentMonitor, chat: openai.OpenAI, recorded: Any
    ) -> None:
        ask = monitor.llm_call(provider="openai", model="gpt-4o")(
            lambda: chat.responses.create(model="gpt-4o", input="Hello?", stream=True)
        )
        stream = ask()
        assert recorded()["l\x1fopenai:n"] == 0
        assert [event.type for event in stream][-1] == "response.completed"
        found = recorded()
        assert kinds(found, "openai") == OPENAI
        assert found["ld\x1fopenai:s"] / 1_000 > first_token_ms(found, "openai") >= FIRST_TOKEN_AFTER * 1_000

    def test_an_asynchronous_client(self, monitor: AgentMonitor, address: str, recorded: Any) -> None:
        async def work() -> None:
            async with openai.AsyncOpenAI(api_key="k", base_url=f"{address}/v1") as client:

                @monitor.llm_call(provider="openai", model="gpt-4o")
                async def ask() -> Any:
                    return await client.chat.completions.create(model="gpt-4o", messages=ASKED)

                await asyncio.gather(*(ask() for _ in range(5)))
                async with monitor.llm_call(provider="openai", model="gpt-4o") as call:
                    stream = await client.chat.completions.create(
                        model="gpt-4o", messages=ASKED, stream=True, stream_options={"include_usage": True}
                    )
                    async for _ in call.stream(stream):
                        pass

        run(work())
        found = recorded()
        assert found["l\x1fopenai:n"] == 6
        assert kinds(found, "openai") == {kind: 6 * count for kind, count in OPENAI.items()}

    def test_an_error_of_the_provider_counts_and_comes_back(
        self, monitor: AgentMonitor, chat: openai.OpenAI, recorded: Any
    ) -> None:
        with (
            pytest.raises(openai.InternalServerError) as raised,
            monitor.llm_call(provider="openai", model="failing") as call,
        ):
            call.response(chat.chat.completions.create(model="failing", messages=ASKED))
        assert raised.value.status_code == 503
        found = recorded()
        assert (found["l\x1fopenai:n"], found["le\x1fopenai:n"], found["lx\x1fopenai:n"]) == (1, 1, 0)


class TestAnthropic:
    def test_a_message(self, monitor: AgentMonitor, claude: anthropic.Anthropic, recorded: Any) -> None:
        with monitor.llm_call(provider="anthropic", model="claude-sonnet-4-5") as call:
            call.response(claude.messages.create(model="claude-sonnet-4-5", max_tokens=50, messages=ASKED))
        found = recorded()
        assert kinds(found, "anthropic") == ANTHROPIC
        assert found["lc\x1fanthropic:s"] == 15 * 3_000 + 100 * 300 + 5 * 3_750 + 30 * 15_000

    def test_a_streamed_message(self, monitor: AgentMonitor, claude: anthropic.Anthropic, recorded: Any) -> None:
        with monitor.llm_call(provider="anthropic", model="claude-sonnet-4-5") as call:
            stream = claude.messages.create(model="claude-sonnet-4-5", max_tokens=50, messages=ASKED, stream=True)
            assert [event.type for event in call.stream(stream)][-1] == "message_stop"
        found = recorded()
        assert kinds(found, "anthropic") == ANTHROPIC
        assert first_token_ms(found, "anthropic") >= FIRST_TOKEN_AFTER * 1_000

    def test_the_librarys_own_helper_for_streams(
        self, monitor: AgentMonitor, claude: anthropic.Anthropic, recorded: Any
    ) -> None:
        with (
            monitor.llm_call(provider="anthropic", model="claude-sonnet-4-5") as call,
            claude.messages.stream(model="claude-sonnet-4-5", max_tokens=50, messages=ASKED) as stream,
        ):
            for _ in stream.text_stream:
                call.first_token()
            call.response(stream.get_final_message())
        found = recorded()
        assert kinds(found, "anthropic") == ANTHROPIC
        assert first_token_ms(found, "anthropic") >= FIRST_TOKEN_AFTER * 1_000


class TestHowItEnds:
    def test_a_call_that_is_cancelled_is_no_error(self, monitor: AgentMonitor, recorded: Any) -> None:
        async def work() -> None:
            @monitor.llm_call(provider="slow", model="m")
            async def ask() -> None:
                await asyncio.sleep(60)

            with pytest.raises(TimeoutError):
                await asyncio.wait_for(ask(), 0.05)

        run(work())
        found = recorded()
        assert (found["l\x1fslow:n"], found["lx\x1fslow:n"], found["le\x1fslow:n"]) == (1, 1, 0)

    @pytest.mark.parametrize("how", ["close", "forget", "leave"])
    def test_a_stream_that_is_given_up_is_cancelled(self, monitor: AgentMonitor, recorded: Any, how: str) -> None:
        stream = monitor.llm_call(provider="p", model="m")(lambda: iter(["a", "b", "c"]))()
        if how == "leave":
            with stream as inside:
                assert next(inside) == "a"
        else:
            assert next(stream) == "a"
        if how == "close":
            stream.close()
        del stream
        gc.collect()
        found = recorded()
        assert (found["l\x1fp:n"], found["lx\x1fp:n"], found["le\x1fp:n"]) == (1, 1, 0)

    def test_a_stream_that_breaks_is_an_error(self, monitor: AgentMonitor, recorded: Any) -> None:
        def broken() -> Iterator[str]:
            yield "a"
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            list(monitor.llm_call(provider="p", model="m")(broken)())
        assert recorded()["le\x1fp:n"] == 1

    def test_generators_are_followed(self, monitor: AgentMonitor, recorded: Any) -> None:
        @monitor.llm_call(provider="p", model="m")
        def plain() -> Iterator[dict[str, Any]]:
            yield {"choices": [{"delta": {"content": "x"}}]}
            yield {"usage": {"prompt_tokens": 7, "completion_tokens": 2}}

        @monitor.llm_call(provider="p", model="m")
        async def asynchronous() -> AsyncIterator[dict[str, Any]]:
            for chunk in plain.__wrapped__():  # type: ignore[attr-defined]
                yield chunk

        async def work() -> None:
            assert [chunk async for chunk in asynchronous()] == list(plain.__wrapped__())  # type: ignore[attr-defined]

        assert len(list(plain())) == 2
        run(work())
        found = recorded()
        assert (found["l\x1fp:n"], found["lf\x1fp:s"] > 0) == (2, True)
        assert kinds(found, "p") == {"input": 14, "output": 4}

    def test_calls_inside_calls_and_in_many_threads_are_each_their_own(self, monitor: AgentMonitor, recorded: Any) -> None:
        @monitor.llm_call(provider="inner", model="m")
        def inner() -> dict[str, Any]:
            return {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}

        @monitor.llm_call(provider="outer", model="m")
        def outer(depth: int) -> dict[str, Any]:
            return outer(depth - 1) if depth else inner()

        threads = [threading.Thread(target=outer, args=(2,)) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = recorded()
        assert (found["l\x1fouter:n"], found["l\x1finner:n"]) == (60, 20)

    def test_an_answer_that_cannot_be_read_harms_nobody(self, monitor: AgentMonitor, recorded: Any) -> None:
        class Hostile:
            def __getattr__(self, name: str) -> Any:
                raise RuntimeError(name)

        hostile = Hostile()
        with monitor.llm_call(provider="p", model="m") as call:
            assert call.response(hostile) is hostile
            call.response({"usage": {"prompt_tokens": "many"}})
        assert recorded()["l\x1fp:n"] == 1

    def test_an_unknown_model_has_no_cost_and_is_counted(self, monitor: AgentMonitor, recorded: Any) -> None:
        with monitor.llm_call(provider="own", model="house-model") as call:
            call.usage(prompt_tokens=10, completion_tokens=5)
        found = recorded()
        assert found["np\x1fhouse-model:n"] == 1
        assert not [name for name in found if name.startswith("lc\x1f")]

    def test_a_cost_that_is_given_wins_and_one_without_pricing_stays_unknown(self, recorded: Any) -> None:
        with AgentMonitor("acme").llm_call(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=10, completion_tokens=5)
            call.cost(0.5)
        with AgentMonitor("acme", pricing=False).llm_call(provider="openai", model="gpt-4o") as call:
            call.usage(prompt_tokens=10, completion_tokens=5)
        found = recorded()
        assert (found["lc\x1fopenai:n"], found["lc\x1fopenai:s"]) == (1, 500_000_000)


class TestContextAndSearch:
    def test_a_context(self, monitor: AgentMonitor, recorded: Any) -> None:
        with monitor.context_build() as build:
            build.add("documents", 3)
            build.add("messages")
            build.add("messages")
        found = recorded()
        assert (found["x:n"], found["xc\x1fdocuments:s"], found["xc\x1fmessages:s"]) == (1, 3, 2)

    def test_a_context_that_fails_is_an_error(self, monitor: AgentMonitor, recorded: Any) -> None:
        @monitor.context_build()
        def build() -> None:
            raise KeyError("customer")

        with pytest.raises(KeyError):
            build()
        found = recorded()
        assert (found["x:n"], found["e\x1fcontext_build:n"]) == (0, 1)

    def test_an_error_that_passes_several_blocks_counts_once_and_one_that_is_raised_again_counts_again(
        self, monitor: AgentMonitor, recorded: Any
    ) -> None:
        error = TimeoutError()
        for _ in range(3):
            with pytest.raises(TimeoutError), monitor.context_build(), monitor.knowledge_search(query="refund"):
                raise error
        found = recorded()
        assert (found["e\x1fknowledge_search:n"], found["e\x1fcontext_build:n"]) == (3, 0)

    def test_a_decorated_search(self, monitor: AgentMonitor, recorded: Any) -> None:
        @monitor.knowledge_search(score=lambda hit: float(hit["score"]))
        def search(query: str, limit: int = 5) -> list[dict[str, Any]]:
            return [{"text": query, "score": 0.9}, {"text": query, "score": 0.7}][:limit]

        assert len(search("refund")) == 2
        assert search("nothing", limit=0) == []
        found = recorded()
        assert (found["k:n"], found["kh:n"], found["kr:s"], found["ks:n"], found["ks:s"]) == (2, 1, 2, 2, 1_600_000)

    def test_a_search_in_a_block(self, monitor: AgentMonitor, recorded: Any) -> None:
        with monitor.knowledge_search(query="refund") as search:
            search.results(["a", "b", "c"], scores=[0.5, 0.25, 0.25])
        found = recorded()
        assert (found["kr:s"], found["ks:s"], found["kd:s"] > 0) == (3, 1_000_000, True)

    def test_a_search_that_fails_is_an_error_and_no_search_without_results(self, monitor: AgentMonitor, recorded: Any) -> None:
        with pytest.raises(TimeoutError), monitor.knowledge_search(query="refund"):
            raise TimeoutError
        found = recorded()
        assert (found["k:n"], found["e\x1fknowledge_search:n"]) == (0, 1)
