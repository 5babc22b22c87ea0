"""Answers that many ask for at once are computed once: a short-lived cache of this process, with single flight."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Hashable
from typing import Any, Final, TypeVar

from apps.monitoring.conf import conf

Answer = TypeVar("Answer")

_MOST: Final = 512
"""Answers kept at once; with more the oldest go."""
_PATIENCE_SECONDS: Final = 30.0


class _Flight:
    """One computation: under way, and then its answer or its error."""

    __slots__ = ("answer", "began", "error", "landed", "seconds")

    def __init__(self, seconds: float | None) -> None:
        self.began, self.seconds = time.monotonic(), seconds
        self.landed = threading.Event()
        self.answer: Any = None
        self.error: Exception | None = None


_lock = threading.Lock()
_flights: dict[Hashable, _Flight] = {}


def once(key: Hashable, compute: Callable[[], Answer], seconds: float | None = None) -> Answer:
    """The answer of ``compute``, or the one that somebody asked for under the same key a moment ago.

    The key has to name the tenant. Who asks while it is computed waits for that answer, or gets its error; an error is
    not kept. What comes out is shared: nobody may change it. ``seconds`` is how long an answer is good; without it as long
    as the settings say. Raises what ``compute`` raises.
    """
    usual = conf().read_cache_seconds
    if not usual:
        return compute()
    with _lock:
        _forget(usual)
        found = _flights.get(key)
        mine = found is None
        if found is None:
            found = _flights[key] = _Flight(seconds)
            while len(_flights) > _MOST:
                del _flights[next(iter(_flights))]
    if mine:
        return _fly(key, found, compute)
    if not found.landed.wait(_PATIENCE_SECONDS):
        return compute()
    if found.error is not None:
        raise found.error
    answer: Answer = found.answer
    return answer


def _forget(usual: float) -> None:
    """Let go of answers that nobody is given any more: they would take memory until so many others had come."""
    now = time.monotonic()
    for key in [key for key, flight in _flights.items() if flight.landed.is_set() and _is_old(flight, now, usual)]:
        del _flights[key]


def _is_old(flight: _Flight, now: float, usual: float) -> bool:
    return now - flight.began >= (usual if flight.seconds is None else flight.seconds)


def _fly(key: Hashable, flight: _Flight, compute: Callable[[], Answer]) -> Answer:
    try:
        flight.answer = compute()
    except BaseException as error:
        # Of an interrupted thread the others learn that they have to see for themselves.
        flight.error = error if isinstance(error, Exception) else TimeoutError("whoever computed the answer was interrupted")
        with _lock:
            if _flights.get(key) is flight:
                del _flights[key]
        raise
    finally:
        flight.landed.set()
    answer: Answer = flight.answer
    return answer


def _begin_anew() -> None:
    """In a forked child: whoever was computing is not here."""
    global _lock  # noqa: PLW0603 - it may be taken by a thread that the child does not have
    _lock = threading.Lock()
    _flights.clear()


os.register_at_fork(after_in_child=_begin_anew)
