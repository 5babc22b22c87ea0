"""What a caller hands over becomes an integer in storage units, or is refused with a reason.

Nothing here trusts its argument: it may be NaN, negative, of another type, or raise when it is looked at.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import Final

from apps.monitoring import catalogue

MAX_STORED: Final = 10**15
"""The largest value of one record: 31 years in microseconds, a million dollars in nano-dollars. A minute of
thousands of such values still fits 64 bits."""

MAX_LABEL: Final = 64
MAX_TENANT: Final = 128
MAX_PAST_SECONDS: Final = 3_650 * 86_400
MAX_FUTURE_SECONDS: Final = 3_600


class RefusedError(ValueError):
    """A value that cannot be counted; ``reason`` is the label it is counted under."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_QUERYING: Final = frozenset(
    {
        ("django.db.models.query", "QuerySet"),
        ("django.db.models.query", "RawQuerySet"),
        ("django.db.models.manager", "BaseManager"),
        ("django.db.models.base", "Model"),
    }
)


def is_lazy(value: object) -> bool:
    """Whether to look at it may do anything, such as a query on a thread that has no business with the database.

    So it is with what stands for another object, as Django's `request.user` does, and with Django's models and query sets.
    """
    try:
        return any(
            "__class__" in vars(kind) or (kind.__module__, kind.__name__) in _QUERYING for kind in type(value).__mro__[:-1]
        )
    except Exception:  # a class may be as hostile as its objects
        return True


def stored(value: object, scale: int, *, negative: bool = False) -> int:
    """A number in storage units.

    Raises RefusedError: not_a_number, not_finite, negative, too_large, lazy, or unreadable when it raises by itself.
    """
    _refuse_lazy(value)
    try:
        scaled = _scaled(_number(value), scale, negative)
    except RefusedError:
        raise
    except Exception as error:  # a number of a foreign type may raise anything
        raise RefusedError("unreadable") from error
    if scaled < 0 and not negative:
        raise RefusedError("negative")
    if abs(scaled) > MAX_STORED:
        raise RefusedError("too_large")
    return scaled


def _refuse_lazy(value: object) -> None:
    if type(value) is not str and is_lazy(value):
        raise RefusedError("lazy")


def _scaled(number: float | Decimal, scale: int, negative: object) -> int:
    # Before it is multiplied: what overflows there has a sign and a size here.
    if not -MAX_STORED <= number <= MAX_STORED:
        raise RefusedError("too_large" if number > 0 or negative else "negative")
    return round(number * scale)


def _number(value: object) -> float | Decimal:
    """A finite number; numpy's are numbers too."""
    if isinstance(value, bool) or not isinstance(value, Real | Decimal):
        raise RefusedError("not_a_number")
    if isinstance(value, Integral):
        return int(value)
    # Decimal keeps 0.1 USD at exactly 100,000,000 nano-dollars; a float is off by less than half a unit.
    number = Decimal(value) if isinstance(value, Decimal) else float(value)
    if not (number.is_finite() if isinstance(number, Decimal) else math.isfinite(number)):
        raise RefusedError("not_finite")
    return number


def text(value: object, limit: int) -> str:
    """A text that Postgres, Redis and JSON can all hold. Raises RefusedError, not_text when it is none, or lazy."""
    _refuse_lazy(value)
    try:
        # The text of a text of another type, as an enumeration's member is, is its content, however it spells itself.
        plain = str.__str__(value if isinstance(value, str) else str(value))
        return plain[:limit].encode("utf-8", "replace").decode().replace("\x00", "").replace("\x1f", " ")
    except Exception as error:  # a foreign object may raise anything when it is looked at
        raise RefusedError("not_text") from error


def label(value: object) -> str:
    """A label value: a category. A sentence is none, so what is longer than `MAX_LABEL` counts under `other`."""
    cleaned = text(value, MAX_LABEL + 1)
    if len(cleaned) > MAX_LABEL:
        return catalogue.OTHER
    return cleaned.strip() or catalogue.UNSPECIFIED


def is_category(value: object) -> bool:
    """Whether a label value is short enough to count under its own name. Raises RefusedError as `text` does."""
    return len(text(value, MAX_LABEL + 1)) <= MAX_LABEL


def moment(value: object, now: float) -> float:
    """Epoch seconds of a timestamp (aware datetime, naive datetime in UTC, or epoch seconds); None is now.

    Raises RefusedError(timestamp) for what is none, or lies over ten years back or an hour ahead.
    """
    if value is None:
        return now
    if is_lazy(value):
        raise RefusedError("timestamp")
    try:
        when = _epoch(value)
    except Exception as error:  # a time zone of a foreign type may raise anything
        raise RefusedError("timestamp") from error
    if not now - MAX_PAST_SECONDS <= when <= now + MAX_FUTURE_SECONDS:
        raise RefusedError("timestamp")
    return when


def _epoch(value: object) -> float:
    if isinstance(value, datetime):
        return float((value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp())
    if isinstance(value, Real) and not isinstance(value, bool):
        return float(value)
    raise RefusedError("timestamp")
