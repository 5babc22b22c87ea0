"""What was read before: it changes seldom, and is asked for each few seconds.

Kept in the process, by what it was made of: what was made anew has another key, and is read again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Final, TypeVar

Answer = TypeVar("Answer")

_MOST_BYTES: Final = 64_000_000
_KEY_BYTES: Final = 300
"""What an answer takes beside what it says of itself."""

_lock = threading.Lock()
_known: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
_size = 0


def each(
    keys: Sequence[Hashable], read: Callable[[list[int]], Sequence[Answer]], weigh: Callable[[Answer], int]
) -> list[Answer]:
    """What is remembered under each key; ``read`` gives it for the places of those under which nothing is.

    ``weigh`` says how many bytes an answer takes. The least recently asked for go when there is no room. What comes out
    is shared: nobody may change it.
    """
    global _size  # noqa: PLW0603 - one memory a process
    found: dict[Hashable, Answer] = {}
    with _lock:
        for key in keys:
            if key in _known:
                _known.move_to_end(key)
                found[key] = _known[key][0]
    missing = [place for place, key in enumerate(keys) if key not in found]
    if not missing:
        return list(map(found.__getitem__, keys))
    made = {keys[place]: answer for place, answer in zip(missing, read(missing), strict=True)}
    weights = {key: _KEY_BYTES + weigh(answer) for key, answer in made.items()}
    with _lock:
        for key, answer in made.items():
            if key not in _known:
                _known[key] = answer, weights[key]
                _size += weights[key]
        while _size > _MOST_BYTES:
            _, (_, freed) = _known.popitem(last=False)
            _size -= freed
    return list(map((found | made).__getitem__, keys))


def any_of(keys: Sequence[Hashable]) -> bool:
    """Whether something is remembered under one of the keys."""
    with _lock:
        return any(key in _known for key in keys)


def _begin_anew() -> None:
    """In a forked child: the lock may be taken by a thread that the child does not have."""
    global _lock, _size
    _lock, _size = threading.Lock(), 0
    _known.clear()


os.register_at_fork(after_in_child=_begin_anew)
