"""How each kind of field is shown: one function a kind, from what the caller handed over to what the line says.

A function gets the value and the redactor, and gives None when there is nothing to say. It raises anything when the
value is not of its kind: the line then says so under ``refused``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from itertools import islice
from numbers import Integral, Real
from typing import Final

from apps.monitoring.core.event import Failure
from apps.monitoring.core.values import is_lazy
from apps.monitoring.logs.plain import MAX_ITEMS, MAX_WHOLE, Json, plain, spelled
from apps.monitoring.logs.redaction import ContentMode, Redactor

LEFT_OUT: Final = "[text]"
"""In the place of a text among details in mode `none`."""

Show = Callable[[object, Redactor], Json]


def name(value: object, redactor: Redactor) -> Json:
    """A name, a category, an id: at most 256 characters."""
    if type(value) is str:
        return redactor.short(value)
    return redactor.short(spelled(value))


def text(value: object, redactor: Redactor) -> Json:
    """What a person or a model wrote; nothing in mode `none`."""
    return redactor.text(value if type(value) is str else spelled(value))


def number(value: object, _: Redactor) -> Json:
    """A finite number; Decimal and numpy's are numbers too, True and "7" are not."""
    if type(value) is float and math.isfinite(value):
        return value
    if type(value) is int and -MAX_WHOLE <= value <= MAX_WHOLE:
        return value
    return _foreign_number(value)


def flag(value: object, _: Redactor) -> Json:
    """True or false."""
    return value if type(value) is bool else bool(value)


def counts(value: object, redactor: Redactor) -> Json:
    """A number by name; a name without a number is left out."""
    shown: dict[str, Json] = {}
    for key, amount in islice(_mapping(value).items(), MAX_ITEMS):
        if amount is not None:
            shown[redactor.short(key if type(key) is str else spelled(key))] = number(amount, redactor)
    return shown or None


def numbers(value: object, redactor: Redactor) -> Json:
    """A list of numbers."""
    return [number(item, redactor) for item in _items(value)] or None


def names(value: object, redactor: Redactor) -> Json:
    """A list of names."""
    return [name(item, redactor) for item in _items(value)] or None


def failures(value: object, redactor: Redactor) -> Json:
    """A list of errors: the operation that failed, and the type when it is known."""
    return [_failure(item, redactor) for item in _items(value)] or None


def exception(value: object, redactor: Redactor) -> Json:
    """An exception or what was said about one, always as an object."""
    shown: dict[str, Json] = {}
    if type(value) is Failure:
        shown["type"], value = value
    elif isinstance(value, BaseException):
        shown["type"] = type(value).__name__
    elif isinstance(value, type):
        return {"type": value.__name__}
    message = redactor.text(spelled(value))
    if message:
        shown["message"] = message
    return shown or None


def details(value: object, redactor: Redactor) -> Json:
    """Whatever the caller finds worth saying, nested as it likes; in mode `none` without any text.

    A text or a number under a key such as `password` is hidden, unless everything is kept.
    """
    text = (lambda _: LEFT_OUT) if redactor.mode is ContentMode.NONE else redactor.short
    shown = plain(_mapping(value), text, redactor.short, redactor.instead)
    if not isinstance(shown, dict):  # it raised when it was looked at
        raise TypeError(type(value).__name__)
    return shown


def trace(value: object, redactor: Redactor) -> Json:
    """A trace id: 32 hexadecimal digits."""
    return f"{value:032x}" if type(value) is int and 0 <= value < 1 << 128 else name(value, redactor)


def span(value: object, redactor: Redactor) -> Json:
    """A span id: 16 hexadecimal digits."""
    return f"{value:016x}" if type(value) is int and 0 <= value < 1 << 64 else name(value, redactor)


def _failure(item: object, redactor: Redactor) -> Json:
    if is_lazy(item) or not isinstance(item, Mapping):
        return {"operation": name(item, redactor)}
    return {key: name(item[key], redactor) for key in ("operation", "type") if item.get(key) is not None}


def _foreign_number(value: object) -> Json:
    if is_lazy(value) or isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise TypeError(type(value).__name__)
    found: int | float = int(value) if isinstance(value, Integral) else float(value)
    if not -MAX_WHOLE <= found <= MAX_WHOLE:  # NaN and infinities are not, either
        raise ValueError(type(value).__name__)
    return found


def _mapping(value: object) -> Mapping[object, object]:
    if isinstance(value, Mapping):
        return value
    raise TypeError(type(value).__name__)


def _items(value: object) -> Iterable[object]:
    """The first entries. An iterator has nothing left for us: who counted its entries has used it up."""
    if isinstance(value, Iterator):
        return ()
    listed = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(listed, str | bytes) or not isinstance(listed, Sequence | AbstractSet):
        raise TypeError(type(value).__name__)
    return islice(listed, MAX_ITEMS)
