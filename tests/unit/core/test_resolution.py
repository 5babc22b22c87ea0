"""Which rows answer a range: each minute once, from the coarsest period that holds it exactly."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core.resolution import Resolution, Stored, Stretch

quick = settings(deadline=None, database=None, max_examples=300)

HOUR, DAY = 60, 1_440
minutes = st.integers(0, 4 * DAY)
stale = st.fixed_dictionaries(
    {
        Resolution.HOUR: st.sets(st.integers(0, 4 * 24 - 1).map(lambda hour: hour * HOUR), max_size=5),
        Resolution.DAY: st.sets(st.integers(0, 3).map(lambda day: day * DAY), max_size=2),
    }
)


def test_a_range_is_days_with_hours_and_minutes_at_its_edges() -> None:
    assert Stored({}, {}).stretches(DAY - 90, 3 * DAY + 61) == [
        Stretch(Resolution.MINUTE, DAY - 90, DAY - 60),
        Stretch(Resolution.HOUR, DAY - 60, DAY),
        Stretch(Resolution.DAY, DAY, 3 * DAY),
        Stretch(Resolution.HOUR, 3 * DAY, 3 * DAY + 60),
        Stretch(Resolution.MINUTE, 3 * DAY + 60, 3 * DAY + 61),
    ]


def test_a_stale_hour_is_read_by_minutes_and_its_day_by_hours() -> None:
    found = Stored({Resolution.HOUR: {DAY + 120}}, {}).stretches(0, 3 * DAY)
    assert found == [
        Stretch(Resolution.DAY, 0, DAY),
        Stretch(Resolution.HOUR, DAY, DAY + 120),
        Stretch(Resolution.MINUTE, DAY + 120, DAY + 180),
        Stretch(Resolution.HOUR, DAY + 180, 2 * DAY),
        Stretch(Resolution.DAY, 2 * DAY, 3 * DAY),
    ]


def test_a_range_is_widened_to_what_is_kept_and_no_further() -> None:
    stored = Stored({}, {Resolution.MINUTE: 2 * DAY, Resolution.HOUR: DAY})
    assert stored.widen(2 * DAY + 7, 2 * DAY + 9) == (2 * DAY + 7, 2 * DAY + 9)
    assert stored.widen(DAY + 70, 3 * DAY + 1) == (DAY + 60, 3 * DAY + 1)
    assert stored.widen(DAY + 70, DAY + 80) == (DAY + 60, DAY + 120)
    assert stored.widen(70, 80) == (0, DAY)
    assert stored.widen(DAY, DAY + 60) == (DAY, DAY + 60)


@quick
@given(minutes, minutes, stale, st.sampled_from(Resolution))
def test_every_minute_is_read_once_and_nothing_stale_is(
    one: int, other: int, periods: dict[Resolution, set[int]], coarsest: Resolution
) -> None:
    start, end = min(one, other), max(one, other)
    at = start
    for stretch in Stored(periods, {}).stretches(start, end, coarsest):
        assert stretch.start == at < stretch.end
        assert stretch.resolution <= coarsest
        at = stretch.end
        for period in range(stretch.start, stretch.end, stretch.resolution):
            assert period % stretch.resolution == 0
            within = {
                stale
                for kind, starts in periods.items()
                if Resolution.MINUTE < kind <= stretch.resolution
                for stale in starts
                if period <= stale < period + stretch.resolution
            }
            assert not within
    assert end in {at, start}


@quick
@given(minutes, minutes, st.integers(0, 3), st.integers(0, 3))
def test_what_is_kept_answers_every_widened_range(one: int, other: int, minute_days: int, hour_days: int) -> None:
    floors = {Resolution.MINUTE: max(minute_days, hour_days) * DAY, Resolution.HOUR: min(minute_days, hour_days) * DAY}
    stored = Stored({}, floors)
    start, end = stored.widen(min(one, other), max(one, other))
    assert start <= min(one, other)
    assert max(one, other) <= end
    assert stored.widen(start, end) == (start, end)
    for stretch in stored.stretches(start, end):
        assert stretch.start >= floors.get(stretch.resolution, 0)
