from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core import values
from apps.monitoring.core.values import MAX_STORED, RefusedError

NOW = 1_767_571_200.0

quick = settings(deadline=None, database=None, max_examples=500)


class Broken:
    def __str__(self) -> NoReturn:
        raise ZeroDivisionError

    __repr__ = __float__ = __index__ = __iter__ = __bool__ = __str__


class BrokenText(str):
    __slots__ = ()

    def __getitem__(self, key: object) -> NoReturn:
        raise ZeroDivisionError

    def encode(self, *_: object) -> NoReturn:
        raise ZeroDivisionError


class BrokenNumber(float):
    def __float__(self) -> NoReturn:
        raise ZeroDivisionError


class BrokenZone(tzinfo):
    def utcoffset(self, when: datetime | None) -> NoReturn:
        raise ZeroDivisionError


def refusal(value: object, scale: int = 1_000) -> str:
    with pytest.raises(RefusedError) as caught:
        values.stored(value, scale)
    return caught.value.reason


@pytest.mark.parametrize("value", ["1", b"1", True, False, [], {}, object(), Broken(), 1j, None, datetime.now(UTC)])
def test_what_is_no_number_is_refused_as_such(value: object) -> None:
    assert refusal(value) == "not_a_number"


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity")])
def test_what_is_not_finite_is_refused_as_such(value: object) -> None:
    assert refusal(value) == "not_finite"


@pytest.mark.parametrize("value", [-1, -0.001, Decimal(-1), -(10**400)])
def test_a_negative_number_is_refused_as_such(value: object) -> None:
    assert refusal(value) == "negative"


@pytest.mark.parametrize("value", [10**13, 1e300, 1e308, 10**400, Decimal("1e300"), Decimal("1e400")])
def test_a_number_too_large_is_refused_as_such(value: object) -> None:
    assert refusal(value) == "too_large"


def test_a_negative_number_is_taken_where_the_metric_may_be_negative() -> None:
    assert values.stored(-0.5, 10**6, negative=True) == -500_000


def test_a_number_that_breaks_when_it_is_looked_at_is_refused_as_such() -> None:
    assert refusal(BrokenNumber(1.0)) == "unreadable"


@pytest.mark.parametrize("value", [np.float32(0.5), np.float64(0.5)])
def test_a_number_of_numpy_is_a_number(value: object) -> None:
    assert values.stored(value, 10**6) == 500_000


@pytest.mark.parametrize("value", [np.int64(7), np.int32(7), np.uint8(7)])
def test_an_integer_of_numpy_is_a_number(value: object) -> None:
    assert values.stored(value, 1) == 7


@quick
@given(st.integers(0, MAX_STORED))
def test_a_decimal_of_money_is_kept_to_the_nano_dollar(nano: int) -> None:
    assert values.stored(Decimal(nano) / 10**9, 10**9) == nano


@quick
@given(st.floats(0, 1e6))
def test_a_float_is_off_by_half_a_unit_at_most(dollars: float) -> None:
    assert abs(values.stored(dollars, 10**9) - Decimal(dollars) * 10**9) <= Decimal("0.75")


@quick
@given(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.decimals(), st.text(), st.binary(), st.complex_numbers())
)
def test_whatever_comes_is_an_integer_in_range_or_refused(value: object) -> None:
    try:
        found = values.stored(value, 10**6)
    except RefusedError:
        return
    assert type(found) is int
    assert 0 <= found <= MAX_STORED


@quick
@given(st.text(), st.integers(0, 200))
def test_a_text_is_one_that_every_store_holds(value: str, limit: int) -> None:
    found = values.text(value, limit)
    assert found.encode("utf-8").decode() == found
    assert "\x00" not in found
    assert "\x1f" not in found
    assert len(found) <= limit


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, "None"),
        (7, "7"),
        ("a\x00b", "ab"),
        ("a\x1fb", "a b"),
        ("\ud800", "?"),
        ("x" * 20, "x" * 8),
        ("", ""),
    ],
)  # fmt: skip
def test_a_text_of(value: object, found: str) -> None:
    assert values.text(value, 8) == found


def test_what_cannot_be_read_as_text_is_refused() -> None:
    with pytest.raises(RefusedError) as caught:
        values.text(Broken(), 8)
    assert caught.value.reason == "not_text"


def test_a_text_whose_own_methods_are_broken_is_read_without_them() -> None:
    assert values.text(BrokenText("x"), 8) == "x"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("gpt-4o", "gpt-4o"),
        (" spaced ", "spaced"),
        ("", "unspecified"),
        ("   ", "unspecified"),
        ("\x00", "unspecified"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "other"),
        (404, "404"),
    ],
)
def test_a_label_of(value: object, found: str) -> None:
    assert values.label(value) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, NOW),
        (NOW - 60, NOW - 60),
        (int(NOW), NOW),
        (datetime.fromtimestamp(NOW, UTC), NOW),
        (datetime.fromtimestamp(NOW, timezone(timedelta(hours=9))), NOW),
        (datetime.fromtimestamp(NOW, UTC).replace(tzinfo=None), NOW),
        (NOW + 3_600, NOW + 3_600),
        (NOW - 3_650 * 86_400, NOW - 3_650 * 86_400),
    ],
)
def test_a_moment_of(value: object, found: float) -> None:
    assert values.moment(value, NOW) == found


@pytest.mark.parametrize(
    "value",
    [
        "2026-01-05", True, math.nan, math.inf, -math.inf, NOW + 3_601, NOW - 3_650 * 86_400 - 1, 0, 10**400, 1e308, object(),
        Broken(), BrokenNumber(NOW), datetime.min, datetime.max, datetime(2026, 1, 5, tzinfo=BrokenZone()), Decimal(NOW),
    ],
)  # fmt: skip
def test_a_moment_that_is_none_is_refused(value: object) -> None:
    with pytest.raises(RefusedError) as caught:
        values.moment(value, NOW)
    assert caught.value.reason == "timestamp"


class Model(str, Enum):  # noqa: UP042 - the older kind, which spells itself otherwise
    SMALL = "gpt-4o-mini"


def test_a_member_of_an_enumeration_of_texts_is_its_value() -> None:
    assert values.label(Model.SMALL) == "gpt-4o-mini"
