"""A call to a language model: how long it took, what it used, how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from apps.monitoring.instrument import answer
from apps.monitoring.instrument.stream import Abandoned, AsyncStream, Ended, Stream
from apps.monitoring.instrument.timed import Timed, has

if TYPE_CHECKING:
    from apps.monitoring.monitor import AgentMonitor


class LLMCall(Timed):
    """Made by `AgentMonitor.llm_call`.

    A call that raises has failed; one that is left by a cancellation, an interrupt or a closed generator was cancelled:
    the caller gave it up, and the provider is not to blame.
    """

    def __init__(self, monitor: AgentMonitor, provider: str, model: str, conversation_id: str | None) -> None:
        super().__init__(monitor, conversation_id)
        self._provider, self._model = provider, model
        self._usage: answer.Usage = {}
        self._cost: float | None = None
        self._failure: object = None
        self._first_token_ms: float | None = None

    def response(self, response: Any) -> Any:
        """Read the token counts of the provider's answer: an object of its client library, or its JSON. Returns it."""
        self._look(lambda: self._use(answer.read(response)))
        return response

    def usage(self, /, **counts: int | None) -> None:
        """Give token counts, by name.

        prompt_tokens, completion_tokens, total_tokens, cache_read_tokens and cache_write_tokens (both part of the prompt),
        reasoning_tokens (part of the completion).
        """
        self._look(lambda: self._use({name: count for name, count in counts.items() if count is not None}))

    def cost(self, dollars: float) -> None:
        """Give the cost, when it is known better than from the price list."""
        self._cost = dollars

    def failed(self, error: object) -> None:
        """Say that the call failed, though nothing is raised: an exception or a text."""
        self._failure = error

    def first_token(self) -> None:
        """Say that the first token is here; a stream that is followed says so itself."""
        if self._first_token_ms is None:
            self._first_token_ms = self._elapsed_ms()

    def stream(self, stream: Any) -> Any:
        """Follow a stream while it is read: its first token, and the token counts at its end. Reads like the stream itself.

        What cannot be followed is given back as it is.
        """
        return self._following(stream, self._noted)

    def _following(self, stream: Any, ended: Ended) -> Any:
        followed = stream

        def look() -> None:
            nonlocal followed
            follow = AsyncStream if has(stream, "__aiter__") else Stream
            followed = follow(stream, self._seen, ended)

        self._look(look)
        return followed

    def _use(self, more: answer.Usage) -> None:
        self._usage = answer.merged(self._usage, more)

    def _seen(self, chunk: Any) -> None:
        def look() -> None:
            if self._first_token_ms is None and answer.has_token(chunk):
                self.first_token()
            more = answer.read(chunk)
            if more:
                self._use(more)

        self._look(look)

    def _noted(self, error: BaseException | None) -> None:
        """The stream inside a ``with`` has ended; the call ends with the block. What was raised comes there too."""

    def _record(self, duration_ms: float, error: BaseException | None) -> None:
        cancelled = error is not None and not isinstance(error, Exception)
        self._monitor.log_and_record_llm_call(
            provider=self._provider,
            model=self._model,
            duration_ms=duration_ms,
            token_usage=self._usage,
            cost=self._cost,
            error=self._failure if cancelled or error is None else error,
            cancelled=cancelled,
            time_to_first_token_ms=self._first_token_ms,
            conversation_id=self._conversation_id,
        )

    def _anew(self) -> Self:
        return type(self)(self._monitor, self._provider, self._model, self._conversation_id)

    def _found(self, value: Any) -> None:
        self.response(value)

    def _answered(self, value: Any) -> Any:
        """A stream ends the call when it ends; anything else is the answer."""
        if has(value, "__anext__") or has(value, "__next__"):
            followed = self._following(value, self._end)
            if followed is not value:
                return followed
        return self._settled(value)


__all__ = ["Abandoned", "LLMCall"]
