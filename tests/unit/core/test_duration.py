from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core import duration


@pytest.mark.parametrize(
    ("text", "minutes"), [("10", 10), ("10m", 10), ("2h", 120), ("1d", 1_440), (" 5 m ", 5), ("0", 0), ("0d", 0)]
)
def test_a_stretch_of_time_is_whole_minutes_hours_or_days(text: str, minutes: int) -> None:
    assert duration.parse(text) == minutes


@pytest.mark.parametrize("text", ["", "m", "1.5h", "-1", "1h30m", "10s", "1w", "12345678901", "٣x"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="whole minutes"):
        duration.parse(text)


@pytest.mark.parametrize(("minutes", "text"), [(0, "0m"), (5, "5m"), (60, "1h"), (90, "90m"), (1_440, "1d"), (1_500, "25h")])
def test_the_spelling_is_the_shortest(minutes: int, text: str) -> None:
    assert duration.spell(minutes) == text


@given(st.integers(0, 2**31 - 1))
def test_what_is_spelled_is_read_back(minutes: int) -> None:
    assert duration.parse(duration.spell(minutes)) == minutes


@pytest.mark.parametrize(
    ("minutes", "words"),
    [(0, "0 minutes"), (1, "1 minute"), (8, "8 minutes"), (60, "1 hour"), (1_505, "1 day 1 hour 5 minutes"), (2_880, "2 days")],
)
def test_it_is_said_in_words(minutes: int, words: str) -> None:
    assert duration.in_words(minutes) == words
