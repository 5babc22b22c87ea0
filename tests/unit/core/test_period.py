"""Days and months by the clocks of a place, also when somebody turns them."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.period import LONGEST, Period, bounds

# Clocks that are turned at midnight (Cairo, Havana), at night, by half an hour, two (Troll) or three (Casey), or not at all;
# half and quarter hours.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "America/Havana",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Antarctica/Troll",
    "Antarctica/Casey",
)
MOMENTS = st.integers(
    to_minute(datetime(2020, 1, 1, tzinfo=ZoneInfo("UTC"))), to_minute(datetime(2035, 1, 1, tzinfo=ZoneInfo("UTC")))
)


def at(text: str, zone: str = "UTC") -> int:
    return to_minute(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)))


@pytest.mark.parametrize(
    ("period", "moment", "zone", "start", "end"),
    [
        (Period.DAY, "2026-01-05T00:00", "UTC", "2026-01-05T00:00", "2026-01-06T00:00"),
        (Period.DAY, "2026-01-05T23:59", "UTC", "2026-01-05T00:00", "2026-01-06T00:00"),
        (Period.DAY, "2026-01-05T23:30", "Europe/Berlin", "2026-01-05T23:00", "2026-01-06T23:00"),
        (Period.DAY, "2026-03-29T12:00", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),
        (Period.DAY, "2026-10-25T12:00", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T23:00"),
        (Period.DAY, "2026-01-05T12:00", "Asia/Kathmandu", "2026-01-04T18:15", "2026-01-05T18:15"),
        (Period.MONTH, "2026-02-28T23:59", "UTC", "2026-02-01T00:00", "2026-03-01T00:00"),
        (Period.MONTH, "2026-12-31T23:59", "UTC", "2026-12-01T00:00", "2027-01-01T00:00"),
        (Period.MONTH, "2024-02-29T12:00", "UTC", "2024-02-01T00:00", "2024-03-01T00:00"),
        (Period.MONTH, "2026-03-31T22:30", "Europe/Berlin", "2026-03-31T22:00", "2026-04-30T22:00"),
        (Period.MONTH, "2026-03-15T00:00", "Europe/Berlin", "2026-02-28T23:00", "2026-03-31T22:00"),
    ],
)
def test_where_a_day_or_a_month_begins_and_ends(period: Period, moment: str, zone: str, start: str, end: str) -> None:
    assert bounds(period, at(moment), zone) == (at(start), at(end))


@pytest.mark.parametrize(
    ("moment", "zone", "hours"), [("2026-10-25T12:00", "Antarctica/Troll", 26), ("2023-03-09T12:00", "Antarctica/Casey", 27)]
)
def test_no_day_and_no_month_is_longer_than_the_longest(moment: str, zone: str, hours: int) -> None:
    start, end = bounds(Period.DAY, at(moment, zone), zone)
    assert hours * 60 == end - start <= LONGEST[Period.DAY]
    start, end = bounds(Period.MONTH, at(moment, zone), zone)
    assert end - start <= LONGEST[Period.MONTH]


@given(st.sampled_from(list(Period)), MOMENTS, st.sampled_from(ZONES))
def test_every_minute_lies_in_one_period_and_the_next_follows_at_once(period: Period, minute: int, zone: str) -> None:
    start, end = bounds(period, minute, zone)
    assert start <= minute < end <= start + LONGEST[period]
    assert bounds(period, start, zone) == bounds(period, end - 1, zone) == (start, end)
    assert bounds(period, end, zone)[0] == end
    first, last = (to_datetime(one).astimezone(ZoneInfo(zone)) for one in (start, end - 1))
    assert (first.date() == last.date()) if period is Period.DAY else (first.month == last.month)
    assert to_datetime(start - 1).astimezone(ZoneInfo(zone)).date() != first.date()
