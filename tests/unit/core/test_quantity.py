"""Numbers with their unit as people write them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.monitoring.core.quantity import spell, spell_beside

FINITE = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.mark.parametrize(
    ("value", "unit", "words"),
    [
        (10_000, "ms", "10 s"),
        (1_500.0, "ms", "1.5 s"),
        (1_234.567, "ms", "1.234567 s"),
        (999.5, "ms", "999.5 ms"),
        (0.0028, "share", "0.28 %"),
        (0.07, "share", "7 %"),
        (0.1, "USD", "$0.10"),
        (0.125, "USD", "$0.125"),
        (25.0, "USD", "$25"),
        (-2_500.5, "USD", "-$2500.50"),
        (50, "%", "50 %"),
        (0.0, "count", "0"),
        (1_234_567.0, "count", "1234567"),
        (5_000.0, "tokens", "5000 tokens"),
        (0.5, "score", "0.5"),
        (12.5, "", "12.5"),
        (1e-12, "", "1e-12"),
        (1e300, "", "1e+300"),
    ],
)
def test_a_value_with_all_its_digits(value: float, unit: str, words: str) -> None:
    assert spell(value, unit) == words


@pytest.mark.parametrize(
    ("value", "limit", "unit", "words"),
    [
        (8_812.34, 10_000, "ms", "8.81 s"),
        (10_000.4, 10_000, "ms", "10.0004 s"),
        (10_000.0, 10_000, "ms", "10 s"),
        (0.254_321, 0.1, "share", "25.4 %"),
        (0.100_04, 0.1, "share", "10.004 %"),
        (12.351, 12.35, "USD", "$12.351"),
        (12.351, 10, "USD", "$12.35"),
        (12_345.0, 0, "count", "12345"),
        (12_345.6, 12_345, "tokens", "12346 tokens"),
    ],
)
def test_a_measured_value_has_the_digits_that_it_takes(value: float, limit: float, unit: str, words: str) -> None:
    assert spell_beside(value, limit, unit) == words


@given(FINITE, FINITE, st.sampled_from(["ms", "share", "USD", "count", "tokens", "%"]))
@example(0.100_000_1, 0.1, "share")
def test_what_is_written_never_lies_on_the_other_side_of_the_limit(value: float, limit: float, unit: str) -> None:
    written, bound = _read(spell_beside(value, limit, unit)), _read(spell(limit, unit))
    assert not (value > limit and written < bound)
    assert not (value < limit and written > bound)


def _read(text: str) -> float:
    number = float(re.sub("[$%a-df-z ]", "", text.partition(" ")[0]))
    return number * 1_000 if text.endswith(" s") else number
