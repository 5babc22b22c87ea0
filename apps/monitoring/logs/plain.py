"""Any object as a value that JSON can hold. Bounded in depth and in number; never raises."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import date, datetime
from enum import Enum
from itertools import islice
from numbers import Integral, Real
from typing import Final

from apps.monitoring.core.values import is_lazy

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

MAX_ITEMS: Final = 50
"""Entries of one list or mapping: an endless one must not hold the thread."""
MAX_DEPTH: Final = 4
MAX_VALUES: Final = 200
"""Values of one field, however deep they lie."""
MAX_WHOLE: Final = 2**53 - 1
"""Beyond it JSON numbers lose digits in most readers."""
MORE: Final = "…"

Text = Callable[[str], str]
Instead = Callable[[str], str | None]
"""What is said in the place of texts and numbers under a key; None when they are shown."""


def whole(text: str) -> str:
    """The text as UTF-8 can hold it."""
    return text.encode("utf-8", "replace").decode()


def nothing(_: str) -> None:
    """Whatever the key, what is under it is shown."""


def plain(value: object, text: Text = whole, key: Text = whole, instead: Instead = nothing) -> Json:
    """A copy; every text in it passes through ``text``, every key through ``key``.

    ``instead`` says by the key what takes the place of texts and numbers, also of those in a list under the key.
    """
    return _Copy(text, key, instead).of(value, MAX_DEPTH)


def spelled(value: object, text: Text = whole) -> str:
    """Any object in words, made here: a serializer in C that asks a broken object itself may take the process down."""
    if is_lazy(value):
        return text(f"<{type(value).__name__}>")
    try:
        if isinstance(value, Enum):
            value = value.value
        shown = value.isoformat() if isinstance(value, datetime | date) else str(value)
        return text(shown[:])
    except Exception:  # a foreign object may raise anything when it is looked at
        return text(f"<{type(value).__name__}>")


class _Copy:
    """One field's copy, with what it may still hold."""

    def __init__(self, text: Text, key: Text, instead: Instead) -> None:
        self._text = text
        self._key = key
        self._instead = instead
        self._left = MAX_VALUES

    def of(self, value: object, depth: int) -> Json:
        self._left -= 1
        if value is None or type(value) is bool:
            return value
        if type(value) is int and -MAX_WHOLE <= value <= MAX_WHOLE:
            return value
        if type(value) is float and math.isfinite(value):
            return value
        try:
            return self._nested(value, depth)
        except Exception:  # a foreign collection may raise anything when it is looked at
            return spelled(value, self._text)

    def _nested(self, value: object, depth: int) -> Json:
        if is_lazy(value):
            return spelled(value, self._text)
        if isinstance(value, Mapping):
            return self._mapping(value, depth) if depth else MORE
        if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray | memoryview):
            return self._list(value, depth) if depth else MORE
        if isinstance(value, Real) and -MAX_WHOLE <= float(value) <= MAX_WHOLE:
            return int(value) if isinstance(value, Integral) else float(value)
        return spelled(value, self._text)

    def _mapping(self, value: Mapping[object, object], depth: int) -> Json:
        return {
            spelled(key, self._key): self._under(key, inner, depth - 1)
            for key, inner in islice(value.items(), MAX_ITEMS)
            if self._left > 0
        }

    def _under(self, key: object, value: object, depth: int) -> Json:
        shown = self.of(value, depth)
        said = self._instead(spelled(key))
        return shown if said is None else _replaced(shown, said)

    def _list(self, value: Iterable[object], depth: int) -> Json:
        return [self.of(inner, depth - 1) for inner in islice(value, MAX_ITEMS) if self._left > 0]


def _replaced(shown: Json, said: str) -> Json:
    """With something else said in the place of texts and numbers; what has keys of its own stays."""
    if isinstance(shown, list):
        return [_replaced(item, said) for item in shown]
    return shown if shown is None or isinstance(shown, bool | dict) else said
