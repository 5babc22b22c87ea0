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
_ENTRY_BYTES: Final = 300
"""What an answer takes beside its key and what it says of itself."""
_TUPLE_BYTES: Final = 120
"""What a tuple of a key takes, with the numbers and moments in it. A piece is two: itself, and its version."""

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
    with _lock:
        known = [_known.get(key) for key in keys]
        for key, one in zip(keys, known, strict=True):
            if one is not None:
                _known.move_to_end(key)
    missing = [place for place, one in enumerate(known) if one is None]
    if missing:
        made = [
            (answer, _ENTRY_BYTES + _TUPLE_BYTES * _tuples(keys[place]) + weigh(answer))
            for place, answer in zip(missing, read(missing), strict=True)
        ]
        with _lock:
            for place, one in zip(missing, made, strict=True):
                known[place] = one
                if keys[place] not in _known:
                    _known[keys[place]] = one
                    _size += one[1]
            while _size > _MOST_BYTES:
                _, (_, freed) = _known.popitem(last=False)
                _size -= freed
    return [one[0] for one in known if one is not None]


def unknown(keys: Sequence[Hashable]) -> list[int]:
    """The places of the keys under which nothing is remembered."""
    with _lock:
        return [place for place, key in enumerate(keys) if key not in _known]


def _tuples(key: Hashable) -> int:
    """How many tuples a key is made of. Those that keys share count in each: what the answers take is that at most."""
    return 1 + sum(map(_tuples, key)) if isinstance(key, tuple) else 0


def _begin_anew() -> None:
    """In a forked child: the lock may be taken by a thread that the child does not have."""
    global _lock, _size
    _lock, _size = threading.Lock(), 0
    _known.clear()


os.register_at_fork(after_in_child=_begin_anew)
