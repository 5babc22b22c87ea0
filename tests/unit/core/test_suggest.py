from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core.frame import Frame
from apps.monitoring.core.rules import Rule
from apps.monitoring.core.suggest import WEEK, suggest
from apps.monitoring.core.timeline import Timeline
from tests.unit.core.test_frame import NEVER, frame

RULE = Rule(name="slow", metric="response_time", statistic="p95", operator="gt", threshold=100.0, min_samples=1, cooldown=5)


def week(peaks: dict[int, float], tenants: int = 1, calm: float = 10.0) -> Frame:
    """A week of calm with some minutes that are not, the same for each tenant."""
    values = [calm] * WEEK
    for minute, value in peaks.items():
        values[minute] = value
    return frame([(values, [5] * WEEK, NEVER)] * tenants)


def fired(rule: Rule, frames: list[Frame]) -> int:
    timeline = Timeline(rule, frames[-1].end)
    for one in frames:
        timeline.show(one)
    return timeline.total().fired


PEAKS = {100 * n: 1_000.0 + 7 * n for n in range(1, 11)}
"""Ten peaks, the later the higher."""


def test_the_threshold_lets_as_many_peaks_through_as_wished() -> None:
    for wish in (1, 3, 10):
        found = suggest(RULE, [week(PEAKS)], wish)
        assert found.threshold is not None
        assert sum(value > found.threshold for value in PEAKS.values()) == wish
        assert found.tally.fired == wish
        assert f"about {wish} alerts a week: would have fired {wish} time" in found.reason


def test_whoever_has_no_more_time_ends_the_search_between_two_frames() -> None:
    left = [3, 2, 1]

    def go_on() -> None:
        if not left:
            raise TimeoutError
        left.pop()

    with pytest.raises(TimeoutError):
        suggest(RULE, [week(PEAKS)], 3, go_on)
    assert not left


def test_below_is_searched_from_below() -> None:
    rule = replace(RULE, operator="lt", threshold=1.0)
    found = suggest(rule, [week({100 * n: float(n) for n in range(1, 9)})], 3)
    assert found.threshold is not None
    assert 3 < found.threshold <= 4


@pytest.mark.parametrize("operator", ["gte", "lte"])
def test_a_threshold_that_is_breached_by_equality_is_beyond_the_value(operator: str) -> None:
    peaks = PEAKS if operator == "gte" else {minute: -value for minute, value in PEAKS.items()}
    found = suggest(replace(RULE, operator=operator), [week(peaks)], 2)
    assert found.threshold is not None
    assert 1_056 < abs(found.threshold) <= 1_063


def test_it_lies_half_way_with_few_digits() -> None:
    """Not at the edge of what is calm, where the next noise breaches it."""
    assert suggest(RULE, [week({100: 1_234.5678})], 1).threshold == 600
    assert suggest(RULE, [week({**PEAKS, 5_000: 1_071.6789})], 1).threshold == 1_071
    assert suggest(replace(RULE, operator="lt"), [week({100: 1.0, 200: 2.0})], 1).threshold == 1.5


def test_among_equal_values_it_stays_above_all_of_them() -> None:
    found = suggest(RULE, [week({100 * n: 500.0 for n in range(1, 30)})], 10)
    assert (found.threshold, found.tally.fired) == (500, 0)


def test_the_wish_is_for_all_tenants_together() -> None:
    found = suggest(RULE, [week(PEAKS, tenants=3)], 7)
    assert found.tally.fired == 6
    assert found.evidence.tenants == 3


def test_half_a_range_counts_half() -> None:
    """From the first minute that has a value on: before, nobody could have been told."""
    half = frame([([float("nan")] * (WEEK // 2) + [10.0] * (WEEK // 2), [0] * (WEEK // 2) + [5] * (WEEK // 2), NEVER)])
    half.values[0, [WEEK - 100 * n for n in (1, 2, 3)]] = (500, 600, 700)
    found = suggest(RULE, [half], 4)
    assert found.evidence.minutes == WEEK // 2
    assert found.tally.fired == 2


def test_a_recovery_threshold_keeps_its_distance() -> None:
    found = suggest(replace(RULE, recovery_threshold=50.0), [week(PEAKS)], 3)
    assert found.threshold is not None
    assert found.recovery_threshold == pytest.approx(found.threshold / 2)


@pytest.mark.parametrize(
    ("rule", "values", "wish", "words"),
    [
        (RULE, WEEK, 0.5, "to see 0.5 alerts a week takes 14 days"),
        (RULE, WEEK // 7, 1, "there are values of 1 day only: to see 1 alerts a week takes 7 days"),
        (RULE, 99, 9_999, "99 values are too few"),
        (RULE, 0, 1, "0 values are too few"),
        (replace(RULE, min_samples=9), WEEK, 1, "0 values are too few: it takes 100 minutes with 9 samples or more"),
        (RULE, WEEK, 0, "a wish is more than 0"),
        (RULE, WEEK, float("nan"), "a wish is more than 0"),
        (replace(RULE, operator="eq"), WEEK, 1, "a rule with ="),
    ],
)
def test_it_says_plainly_when_there_is_nothing_to_suggest(rule: Rule, values: int, wish: float, words: str) -> None:
    rows = [([10.0] * values, [5] * values, NEVER)]
    found = suggest(rule, [frame(rows)] if values else [], wish)
    assert found.threshold is None
    assert words in found.reason


@given(
    st.integers(0, 10**6), st.sampled_from(["gt", "lt", "gte", "lte"]), st.integers(1, 40), st.integers(0, 3), st.integers(0, 3)
)
def test_what_is_suggested_never_fires_more_often_than_wished(
    seed: int, operator: str, wish: int, pending: int, keeping: int
) -> None:
    chance = random.Random(seed)
    length = 400
    rows = [
        ([chance.choice([1.0, 2.0, chance.lognormvariate(1, 1)]) for _ in range(length)], [5] * length, NEVER) for _ in range(2)
    ]
    rule = replace(RULE, operator=operator, pending_for=pending, keep_firing_for=keeping)
    frames = [
        frame([(own[:250], n[:250], k) for own, n, k in rows]),
        frame([(own[250:], n[250:], k) for own, n, k in rows], 250),
    ]
    per_week = wish * WEEK / length
    found = suggest(rule, frames, per_week)
    assert found.threshold is not None
    assert fired(replace(rule, threshold=found.threshold), frames) == found.tally.fired <= wish
