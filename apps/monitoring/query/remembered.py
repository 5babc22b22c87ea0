"""Merged rows that were read before: they change seldom, and are asked for each few seconds.

Kept in the process, by what they were made of: a period that was made anew has another version, and is read again.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from apps.monitoring.query.rows import Merged

_MOST_BYTES: Final = 64_000_000
_ROW_BYTES: Final = 300
"""What a row takes beside its bytes."""

_lock = threading.Lock()
_known: OrderedDict[Hashable, tuple[Sequence[Merged], int]] = OrderedDict()
_size = 0


def each(keys: Sequence[Hashable], read: Callable[[list[int]], Sequence[Sequence[Merged]]]) -> list[Sequence[Merged]]:
    """What is remembered under each key; ``read`` gives it for the places of those under which nothing is.

    The least recently asked for go when there is no room.
    """
    global _size  # noqa: PLW0603 - one memory a process
    found: dict[Hashable, Sequence[Merged]] = {}
    with _lock:
        for key in keys:
            if key in _known:
                _known.move_to_end(key)
                found[key] = _known[key][0]
    missing = [place for place, key in enumerate(keys) if key not in found]
    if not missing:
        return list(map(found.__getitem__, keys))
    made = {keys[place]: rows for place, rows in zip(missing, read(missing), strict=True)}
    with _lock:
        for key, rows in made.items():
            if key not in _known:
                taken = sum(_ROW_BYTES + sum(map(len, row.datas)) for row in rows)
                _known[key] = rows, taken
                _size += taken
        while _size > _MOST_BYTES:
            _, (_, freed) = _known.popitem(last=False)
            _size -= freed
    return list(map((found | made).__getitem__, keys))


def _begin_anew() -> None:
    """In a forked child: the lock may be taken by a thread that the child does not have."""
    global _lock, _size
    _lock, _size = threading.Lock(), 0
    _known.clear()


os.register_at_fork(after_in_child=_begin_anew)
