"""What asks for too much is tried now and then, and never takes all of the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core.pauses import allowed, tried_again_at

BEGUN = datetime(2026, 1, 5, tzinfo=UTC)


def test_the_pauses_grow_from_five_minutes_to_an_hour() -> None:
    tried, pauses = BEGUN, []
    for _ in range(7):
        again = tried_again_at(BEGUN, tried)
        pauses.append((again - tried) // timedelta(minutes=1))
        tried = again
    assert pauses == [5, 5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("limit", "left", "seconds"),
    [
        (30, 60, 30),
        (30, 50, 25),
        (5, 60, 5),
        (0, 60, 30),  # no limit but the minute's
        (30, 0.1, 0.2),
        (30, -7, 0.2),
        (0.1, -7, 0.1),
    ],
)
def test_a_statement_may_take_half_of_what_is_left(limit: float, left: float, seconds: float) -> None:
    assert allowed(limit, left) == seconds


@given(st.integers(1, 300), st.floats(0, 1_000))
def test_however_many_are_slow_the_next_one_has_time_and_all_of_them_end(slow: int, limit: float) -> None:
    left = 60.0
    for _ in range(slow):
        share = allowed(limit, left)
        assert share > 0 or limit == 0
        left -= share
    assert left > -0.2 * slow
