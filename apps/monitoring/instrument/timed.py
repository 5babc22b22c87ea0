"""One timed piece of work: a context manager and a decorator, for plain code, coroutines and generators."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from types import CoroutineType, TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, cast

from apps.monitoring.core.values import RefusedError
from apps.monitoring.instrument.awaitable import watched
from apps.monitoring.instrument.items import Items

if TYPE_CHECKING:
    from apps.monitoring.monitor import AgentMonitor

_log = logging.getLogger(__name__)

_MILLISECONDS: Final = 1_000.0
_COUNTED: Final = "_agent_monitor_counted"
"""On an exception: when a piece of work has counted it as an error."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


class Timed(ABC):
    """Begins when it is entered and is recorded once, when it is left. What the work raises goes on to the caller.

    As a decorator it makes every call of the function a piece of work of its own.
    """

    def __init__(self, monitor: AgentMonitor, conversation_id: str | None) -> None:
        self._monitor, self._conversation_id = monitor, conversation_id
        self._began: float | None = None
        self._entered = 0.0
        self._process = 0

    @abstractmethod
    def _record(self, duration_ms: float, error: BaseException | None) -> None:
        """Hand over what happened; ``error`` is what the work raised."""

    @abstractmethod
    def _anew(self) -> Self:
        """Another piece of work of the same kind."""

    def _called(self, arguments: inspect.BoundArguments) -> None:  # noqa: B027 - most have no use for them
        """Look at the arguments of a decorated function."""

    def _found(self, value: Any) -> None:  # noqa: B027 - most have no use for it
        """Look at what a decorated function returned."""

    def _returned(self, value: Any) -> Any:
        """Take what a decorated function returned, and end once it is there; what comes back is given to its caller."""
        kind = type(value)
        if kind is CoroutineType:
            return self._awaited(value)
        if issubclass(kind, asyncio.Future):
            value.add_done_callback(self._done)
            return value
        return watched(value, self._awaited) if has(value, "__await__") else self._answered(value)

    async def _awaited(self, value: Any) -> Any:
        try:
            found = await value
        except BaseException as error:
            self._end(error)
            raise
        return self._answered(found)

    def _done(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._end(asyncio.CancelledError())
        # Asked by `exception()`, asyncio would not tell any more of a failure that the caller never looks at.
        elif (error := future._exception) is not None:
            self._end(error)
        else:
            self._settled(future.result())

    def _answered(self, value: Any) -> Any:
        """Take the answer of a decorated function, and end; what comes back is given to its caller."""
        return self._settled(value)

    def _settled(self, value: Any) -> Any:
        self._found(value)
        self._end(None)
        return value

    def _seen(self, item: Any) -> None:  # noqa: B027 - most have no use for it
        """Look at an item of a decorated generator, before its caller has it."""

    def _begin(self) -> None:
        self._began = self._entered = time.perf_counter()
        self._process = os.getpid()

    def _elapsed_ms(self) -> float | None:
        return None if self._began is None else (time.perf_counter() - self._began) * _MILLISECONDS

    def _end(self, error: BaseException | None) -> None:
        duration = self._elapsed_ms()
        # The copy of a forked child ends there too, if only because nobody has it any more: the work is its parent's.
        if duration is None or self._process != os.getpid():
            return
        self._began = None
        try:
            self._record(duration, error)
        except Exception:
            _log.exception("a %s was not recorded", type(self).__name__)
            self._monitor.lost()

    def _look(self, look: Callable[[], None]) -> bool:
        """Read what the caller's or a provider's objects say; they may raise anything, and the caller must not feel it.

        What cannot be read is counted as refused; whether it could.
        """
        try:
            look()
        except RefusedError as refused:
            self._monitor.refused(refused.reason)
        except Exception:
            _log.exception("a %s could not read what it was given", type(self).__name__)
            self._monitor.refused("unreadable")
        else:
            return True
        return False

    def _fail(self, operation: str, error: Exception) -> None:
        """Count an error; what fails inside of another piece of work fails once."""
        noted = vars(error)
        # An exception that was raised before this work began, and is raised again, is another error.
        if noted.get(_COUNTED, -math.inf) >= self._entered:
            return
        noted[_COUNTED] = time.perf_counter()
        self._monitor.log_and_record_error(operation, error, {"conversation_id": self._conversation_id})

    def __enter__(self) -> Self:
        self._begin()
        return self

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        self._end(error)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def __call__(self, function: Decorated) -> Decorated:
        """Decorate a function, a coroutine function, a generator function or an asynchronous one."""
        return cast("Decorated", functools.wraps(function)(_wrapped(self, function, _signature(function))))


def has(value: Any, method: str) -> bool:
    """Whether the language finds a method such as ``__aiter__``: on the type, without asking the object for anything."""
    return hasattr(type(value), method)


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):  # made in C, and says nothing
        return None


def _wrapped(kind: Timed, function: Callable[..., Any], signature: inspect.Signature | None) -> Callable[..., Any]:  # noqa: C901 - one kind of function each
    """The function with a piece of work around each call, of the same kind as the function is."""
    # ruff: noqa: SLF001 - this is the class's own machinery

    def begun(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Timed:
        work = kind._anew()
        if signature is not None:
            work._look(lambda: work._called(signature.bind(*args, **kwargs)))
        work._begin()
        return work

    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        return await plain(*args, **kwargs)

    def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        with begun(args, kwargs) as work:
            return (yield from Items(function(*args, **kwargs), work._seen))

    async def asynchronous_generator(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        with begun(args, kwargs) as work:
            async with aclosing(function(*args, **kwargs)) as items:
                step = items.asend(None)
                while True:
                    try:
                        item = await step
                    except StopAsyncIteration:
                        return
                    work._seen(item)
                    try:
                        step = items.asend((yield item))
                    except GeneratorExit:
                        raise
                    except BaseException as error:
                        step = items.athrow(error)

    def plain(*args: Any, **kwargs: Any) -> Any:
        work = begun(args, kwargs)
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            work._end(error)
            raise
        return work._returned(value)

    if inspect.iscoroutinefunction(function):
        return coroutine
    if inspect.isasyncgenfunction(function):
        return asynchronous_generator
    return generator if inspect.isgeneratorfunction(function) else plain
