"""A provider's stream, followed chunk by chunk while the caller reads it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Self

Seen = Callable[[Any], None]
"""Told of every chunk, before the caller has it."""
Ended = Callable[[BaseException | None], None]
"""Told once how it ended: None when the last chunk was read."""


class Abandoned(BaseException):
    """The caller closed a stream, or let go of it, before its end. Never raised: it says how a call ended."""


class _Followed:
    """What both kinds share: everything else of the stream is the stream's own."""

    _ended: Ended | None = None
    """None when it has ended, and when it never began because the stream could not be read."""

    def __init__(self, stream: Any, seen: Seen, ended: Ended) -> None:
        self._stream = stream
        self._seen = seen
        self._ended = ended

    def _end(self, error: BaseException | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(error)

    def __getattr__(self, name: str) -> Any:
        if name == "_stream":  # of a copy that is being made
            raise AttributeError(name)
        return getattr(self._stream, name)

    def __del__(self) -> None:
        self._end(Abandoned())


class Stream(_Followed):
    """A stream that is read with ``for``; used with ``with`` and ``close`` as the one it follows."""

    def __init__(self, stream: Any, seen: Seen, ended: Ended) -> None:
        self._items: Iterator[Any] = iter(stream)
        super().__init__(stream, seen, ended)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        try:
            chunk = next(self._items)
        except StopIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._seen(chunk)
        return chunk

    def __enter__(self) -> Self:
        if hasattr(self._stream, "__enter__"):
            self._stream.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> Any:
        self._end(error or Abandoned())
        return self._stream.__exit__(kind, error, trace) if hasattr(self._stream, "__exit__") else None

    def close(self) -> None:
        """Close the stream; what was not read is not waited for."""
        self._end(Abandoned())
        if hasattr(self._stream, "close"):
            self._stream.close()


class AsyncStream(_Followed):
    """A stream that is read with ``async for``."""

    def __init__(self, stream: Any, seen: Seen, ended: Ended) -> None:
        self._items: AsyncIterator[Any] = aiter(stream)
        super().__init__(stream, seen, ended)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            chunk = await anext(self._items)
        except StopAsyncIteration:
            self._end(None)
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._seen(chunk)
        return chunk

    async def __aenter__(self) -> Self:
        if hasattr(self._stream, "__aenter__"):
            await self._stream.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        self._end(error or Abandoned())
        return await self._stream.__aexit__(kind, error, trace) if hasattr(self._stream, "__aexit__") else None

    async def close(self) -> None:
        """Close the stream; what was not read is not waited for."""
        self._end(Abandoned())
        close = getattr(self._stream, "close", None) or getattr(self._stream, "aclose", None)
        closing = None if close is None else close()
        if inspect.isawaitable(closing):
            await closing

    aclose = close
