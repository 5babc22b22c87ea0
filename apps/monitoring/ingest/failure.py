"""Why the hot store did not take a flush, in one word, and when it is asked again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Final

import redis
from redis import exceptions

_REASONS: Final[Sequence[tuple[type[Exception], str]]] = (
    (exceptions.TimeoutError, "timeout"),
    (exceptions.BusyLoadingError, "loading"),
    (exceptions.AuthenticationError, "not_allowed"),
    (exceptions.NoPermissionError, "not_allowed"),
    (exceptions.ReadOnlyError, "read_only"),
    (exceptions.OutOfMemoryError, "out_of_memory"),
    (exceptions.NoScriptError, "no_script"),
    (exceptions.ClusterError, "cluster"),
    (exceptions.TryAgainError, "cluster"),
    (exceptions.AskError, "cluster"),
    (exceptions.ConnectionError, "connection"),
    (OSError, "connection"),
)
"""By class, the more special ones first."""
_CODES: Final = {
    "BUSY": "busy",
    "MISCONF": "cannot_save",
    "NOREPLICAS": "no_replicas",
    "LOADING": "loading",
    "MASTERDOWN": "cluster",
    "Script attempted to execute a write command while": "cluster",
}
"""By how the text begins: for these the library has no class. The last: a cluster that is down and lets readers in refuses
the first write of a script."""
_OTHER: Final = "other"

REASONS: Final = frozenset({*dict(_REASONS).values(), *_CODES.values(), _OTHER})

_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 5.0


def reason(error: Exception) -> str:
    """One of `REASONS`."""
    for kind, word in _REASONS:
        if isinstance(error, kind):
            return word
    return next((word for code, word in _CODES.items() if str(error).startswith(code)), _OTHER)


def is_final(error: object) -> bool:
    """Whether sending the same again is useless.

    The library gives every known error a class (out of memory, read-only replica, no such script, wrong password,
    cluster moving) and takes the code off its text; all of those pass, and what was refused is kept. What stays a plain
    ResponseError is the script's own failure: a key of another type, a syntax it does not know.
    """
    return type(error) is redis.ResponseError and reason(error) == _OTHER


def pause(failures: int) -> float:
    """Seconds until a flush that has failed so many times in a row is tried again.

    Doubling to 5 s, and by chance up to half more or less: the processes of a site must not all come at once when the
    hot store is back.
    """
    if not failures:
        return 0.0
    longest: float = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** min(failures, 10))
    return longest * random.uniform(0.5, 1.5)  # noqa: S311 - nothing depends on nobody guessing it
