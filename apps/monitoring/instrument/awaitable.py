"""An awaitable that may be more than that, say a context manager: it stays what it is, and is watched."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import lru_cache
from inspect import getattr_static
from typing import Any

Watch = Callable[[Any], Coroutine[Any, Any, Any]]
"""Awaits what it is given, and gives what came of it."""


def watched(awaitable: Any, watch: Watch) -> Any:
    """What behaves as the awaitable, and is watched where the caller awaits it or enters it by ``async with``."""
    return _like(type(awaitable))(awaitable, watch)  # type: ignore[arg-type]  # a type can be hashed


class _Watched:
    """What all kinds share: everything else is the awaitable's own."""

    _watched: Any = None
    _watch: Any = None

    def __init__(self, awaitable: Any, watch: Watch) -> None:
        vars(self).update(_watched=awaitable, _watch=watch)

    def __await__(self) -> Any:
        return self._watch(self._watched).__await__()

    @property  # type: ignore[misc]
    def __class__(self) -> type[Any]:
        return type(self._watched)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._watched, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._watched, name, value)

    def __repr__(self) -> str:
        return repr(self._watched)


class _WatchedCoroutine(_Watched):
    """One that a task runs by its methods instead of awaiting it."""

    _running: Any = None

    def send(self, value: Any) -> Any:
        if self._running is None:
            vars(self)["_running"] = self._watch(self._watched)
        return self._running.send(value)

    def throw(self, *raised: Any) -> Any:
        return (self._running or self._watched).throw(*raised)

    def close(self) -> None:
        (self._running or self._watched).close()


@lru_cache(maxsize=100)
def _like(kind: type[Any]) -> type[_Watched]:
    """The language looks for ``__aiter__`` and the like on the type, so each type of awaitables has one of its own here."""
    base = _WatchedCoroutine if issubclass(kind, Coroutine) else _Watched
    methods = {name: _forwarded(name) for name in dir(kind) if _found_on_type(kind, name) and not hasattr(base, name)}
    if "__aenter__" in methods:
        methods["__aenter__"] = lambda self: self._watch(self._watched.__aenter__())
    return type(kind.__name__, (base,), methods)


def _found_on_type(kind: type[Any], name: str) -> bool:
    # The awaitable's own end comes when nobody has it any more, and comes once.
    return name.startswith("__") and name != "__del__" and callable(getattr_static(kind, name, None))


def _forwarded(name: str) -> Callable[..., Any]:
    return lambda self, *args, **kwargs: getattr(self._watched, name)(*args, **kwargs)
