"""Values that a caller's code may hand over by accident or by malice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, NoReturn

import numpy as np


class Raises:
    """Raises whatever is done with it."""

    def _no(self, *_: object) -> NoReturn:
        raise ZeroDivisionError

    __str__ = __repr__ = __float__ = __int__ = __index__ = __iter__ = __len__ = __bool__ = __eq__ = __hash__ = _no  # type: ignore[assignment]


class Hostile:
    """Raises for every attribute, as a proxy whose connection is gone does."""

    def __getattr__(self, name: str) -> NoReturn:
        raise ZeroDivisionError(name)


class RaisesRecursion:
    """As an object does that holds itself."""

    def __str__(self) -> NoReturn:
        raise RecursionError

    __repr__ = __str__


class LyingText(str):
    __slots__ = ()

    def __str__(self) -> NoReturn:
        raise ZeroDivisionError

    __getitem__ = encode = strip = __hash__ = __str__  # type: ignore[assignment]


class LyingNumber(float):
    def __float__(self) -> NoReturn:
        raise ZeroDivisionError

    __mul__ = __rmul__ = __le__ = __lt__ = __gt__ = __ge__ = __bool__ = __float__  # type: ignore[assignment]


class LyingMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> NoReturn:
        raise ZeroDivisionError

    def __iter__(self) -> Iterator[str]:
        yield "prompt_tokens"

    def __len__(self) -> int:
        return 1


class EndlessMapping(Mapping[str, Any]):
    def __getitem__(self, key: str) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        return map(str, itertools.count())

    def __len__(self) -> int:
        return 1


class LyingZone(tzinfo):
    def utcoffset(self, when: datetime | None) -> NoReturn:
        raise ZeroDivisionError


def breaking() -> Iterator[object]:
    yield 0.5
    raise ZeroDivisionError


VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**15, 10**400, -(10**400), 1e308, -0.0, math.nan, math.inf, -math.inf, 5e-324,
    Decimal("NaN"), Decimal("sNaN"), Decimal("1e400"), Decimal("0.1"), 1j, "", "7", "\ud800", "a\x00b\x1fc:d", "x" * 100_000, "😀" * 70,
    b"\xff", [], {}, (), [[[]]], {"prompt_tokens": "x", "completion_tokens": -1, "total_tokens": math.nan}, {1: 2}, {None: None},
    [{"operation": None}, None, 7, {"operation": Raises()}], ["\ud800"], {"\ud800": 1}, {"a": Raises()},
    datetime(2026, 1, 5, tzinfo=UTC), datetime(1, 1, 1), datetime(9999, 12, 31, tzinfo=UTC), datetime(2026, 1, 5, tzinfo=LyingZone()),
    object(), int, len, ..., ValueError("boom"), Raises(), RaisesRecursion(), LyingText("x"), LyingNumber(1.0),
    LyingMapping(), EndlessMapping(), np.float32(0.5), np.int64(3), np.nan, np.array([0.5, math.nan]), np.array([[1, 2], [3, 4]]),
)  # fmt: skip
"""Without the ones that are used up when they are read: see `fresh`."""


def fresh() -> tuple[Any, ...]:
    """Iterators, which can be read once."""
    return itertools.count(), itertools.repeat({"operation": "x"}), breaking(), iter(()), (score for score in (1, 2))
