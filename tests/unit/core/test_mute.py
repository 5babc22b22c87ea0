"""Windows of the week by the clock on the wall, on ordinary days and on those when it jumps."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, time, timedelta
from functools import cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.mute import MuteWindow
from apps.monitoring.core.silences import Matchers

MON, TUE, WED, THU, FRI, SAT, SUN = range(7)
ALL = frozenset(range(7))


def window(start: str, end: str, zone: str = "UTC", weekdays: frozenset[int] = ALL) -> MuteWindow:
    return MuteWindow("nightly", Matchers(("*",)), weekdays, time.fromisoformat(start), time.fromisoformat(end), zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def stretches(mute: MuteWindow, start: str, hours: int) -> list[tuple[str, str]]:
    """From and to, in UTC, of what is muted; looked at minute by minute."""
    minutes = [at(start) + timedelta(minutes=n) for n in range(hours * 60)]
    edges = [two for one, two in itertools.pairwise(minutes) if mute.holds(one) != mute.holds(two)]
    told = [f"{edge:%d %H:%M}" for edge in edges]
    return list(zip(told[::2], told[1::2], strict=True))


@pytest.mark.parametrize(
    ("mute", "start", "hours", "found"),
    [
        # An ordinary night: Berlin is an hour ahead of UTC in winter, two in summer.
        (window("02:00", "04:00", "Europe/Berlin"), "2026-01-05T00:00", 20, [("05 01:00", "05 03:00")]),
        (window("02:00", "04:00", "Europe/Berlin"), "2026-07-05T12:00", 20, [("06 00:00", "06 02:00")]),
        # Berlin, spring, 29 March 2026: at 02:00 (01:00 UTC) it is 03:00. One hour of the window is left.
        (window("02:00", "04:00", "Europe/Berlin"), "2026-03-28T12:00", 20, [("29 01:00", "29 02:00")]),
        (window("02:30", "04:00", "Europe/Berlin"), "2026-03-28T12:00", 20, [("29 01:00", "29 02:00")]),
        (window("01:00", "02:30", "Europe/Berlin"), "2026-03-28T12:00", 20, [("29 00:00", "29 01:00")]),
        (window("02:00", "03:00", "Europe/Berlin"), "2026-03-28T12:00", 20, []),
        (window("02:10", "02:50", "Europe/Berlin"), "2026-03-28T12:00", 20, []),
        # Berlin, autumn, 25 October 2026: at 03:00 (01:00 UTC) it is 02:00 again. The window is an hour longer.
        (window("02:00", "04:00", "Europe/Berlin"), "2026-10-24T12:00", 20, [("25 00:00", "25 03:00")]),
        (window("02:00", "02:30", "Europe/Berlin"), "2026-10-24T12:00", 20, [("25 00:00", "25 01:30")]),
        (window("02:30", "03:00", "Europe/Berlin"), "2026-10-24T12:00", 20, [("25 00:30", "25 02:00")]),
        (window("22:00", "02:30", "Europe/Berlin"), "2026-10-24T12:00", 20, [("24 20:00", "25 01:30")]),
        # New York, spring, 8 March 2026: at 02:00 (07:00 UTC) it is 03:00.
        (window("02:00", "04:00", "America/New_York"), "2026-03-07T12:00", 24, [("08 07:00", "08 08:00")]),
        (window("22:00", "06:00", "America/New_York"), "2026-03-07T12:00", 30, [("08 03:00", "08 10:00")]),
        # New York, autumn, 1 November 2026: at 02:00 (06:00 UTC) it is 01:00 again.
        (window("02:00", "04:00", "America/New_York"), "2026-10-31T12:00", 24, [("01 07:00", "01 09:00")]),
        (window("01:00", "02:00", "America/New_York"), "2026-10-31T12:00", 24, [("01 05:00", "01 07:00")]),
        (window("22:00", "06:00", "America/New_York"), "2026-10-31T12:00", 30, [("01 02:00", "01 11:00")]),
        # Havana puts its clock back at 01:00, to midnight: the day begins twice.
        (window("00:00", "00:30", "America/Havana", frozenset({SUN})), "2026-10-31T12:00", 24, [("01 04:00", "01 05:30")]),
        # St John's did so one minute after midnight, and it was yesterday again.
        (window("00:00", "01:00", "America/St_Johns", frozenset({SUN})), "2010-11-06T12:00", 24, [("07 02:30", "07 04:30")]),
        # Half an hour, in Lord Howe: 4 April 2026 at 15:00 UTC it is 01:30 again.
        (window("01:00", "01:40", "Australia/Lord_Howe"), "2026-04-04T12:00", 8, [("04 14:00", "04 15:10")]),
        # Samoa had no 30 December 2011.
        (window("10:00", "12:00", "Pacific/Apia", frozenset({FRI})), "2011-12-29T12:00", 60, []),
        # Over midnight: the weekday is that of the beginning. 5 January 2026 is a Monday.
        (window("22:00", "02:00", weekdays=frozenset({MON})), "2026-01-05T00:00", 72, [("05 22:00", "06 02:00")]),
        (window("22:00", "02:00", weekdays=frozenset({SUN})), "2026-01-04T12:00", 72, [("04 22:00", "05 02:00")]),
        (window("09:00", "09:00", weekdays=frozenset({TUE})), "2026-01-05T00:00", 72, [("06 09:00", "07 09:00")]),
        (window("00:00", "00:00", weekdays=frozenset({WED})), "2026-01-05T00:00", 96, [("07 00:00", "08 00:00")]),
        (window("00:00", "00:00", weekdays=frozenset({SAT, SUN})), "2026-01-09T00:00", 96, [("10 00:00", "12 00:00")]),
        (window("00:00", "00:00", weekdays=frozenset()), "2026-01-05T00:00", 96, []),
    ],
)  # fmt: skip
def test_a_window_is_by_the_clock_on_the_wall(mute: MuteWindow, start: str, hours: int, found: list[tuple[str, str]]) -> None:
    assert stretches(mute, start, hours) == found


def test_a_minute_is_told_when_it_has_ended() -> None:
    mute = window("02:00", "04:00")
    for minute, quiet in (("01:58", False), ("01:59", True), ("03:58", True), ("03:59", False)):
        assert (mute.quiet(to_minute(at(f"2026-01-05T{minute}"))) is not None) is quiet


def test_a_zone_that_does_not_exist_is_said() -> None:
    with pytest.raises(ZoneInfoNotFoundError):
        window("02:00", "04:00", "Europe/Atlantis").holds(at("2026-01-05T00:00"))


# Nights in which a clock jumps, and ordinary ones.
PLACES = {
    "Europe/Berlin": ("2026-03-28T22:00", "2026-10-24T22:00", "2026-06-01T22:00"),
    "America/New_York": ("2026-03-08T03:00", "2026-11-01T02:00"),
    "America/Havana": ("2026-03-08T00:00", "2026-11-01T00:00"),
    "Australia/Lord_Howe": ("2026-04-04T10:00", "2026-10-03T10:00"),
    "America/St_Johns": ("2010-11-06T22:00", "2010-03-14T00:00"),
    "Pacific/Apia": ("2011-12-29T20:00",),
    "Asia/Beirut": ("2026-03-28T18:00", "2026-10-24T18:00"),
}
SPAN, MARGIN = 12 * 60, 4 * 24 * 60


@cache
def clock(zone: str, start: str) -> list[datetime]:
    """What the clock shows in every minute from some days before to some days after."""
    first = at(start) - timedelta(minutes=MARGIN)
    place = ZoneInfo(zone)
    return [(first + timedelta(minutes=n)).astimezone(place).replace(tzinfo=None) for n in range(SPAN + 2 * MARGIN)]


@cache
def latest_and_earliest(zone: str, start: str) -> tuple[list[datetime], list[datetime]]:
    """For every minute the latest that the clock has shown so far, and the earliest that it will show."""
    shown = clock(zone, start)
    return list(itertools.accumulate(shown, max)), list(itertools.accumulate(reversed(shown), min))[::-1]


@settings(max_examples=200, deadline=None, database=None)
@given(
    night=st.sampled_from([(zone, start) for zone, starts in PLACES.items() for start in starts]),
    begin=st.integers(0, 24 * 60 - 1),
    length=st.integers(1, 24 * 60),
    weekdays=st.frozensets(st.integers(0, 6)),
)
@example(("America/Havana", "2026-11-01T00:00"), 0, 30, ALL)
@example(("Europe/Berlin", "2026-10-24T22:00"), 150, 30, frozenset({SUN}))
def test_it_holds_whatever_the_clock_has_reached_and_not_left_for_good(
    night: tuple[str, str], begin: int, length: int, weekdays: frozenset[int]
) -> None:
    zone, start = night
    end = (begin + length) % (24 * 60)
    mute = MuteWindow("m", Matchers(), weekdays, time(begin // 60, begin % 60), time(end // 60, end % 60), zone)
    reached, left = latest_and_earliest(zone, start)
    days = {shown.date() for shown in clock(zone, start)[MARGIN - 2 * 1440 : -MARGIN + 2 * 1440]}
    begins = [datetime.combine(day, mute.start) for day in days if day.weekday() in weekdays]
    for n in range(0, SPAN, 7):
        expected = any(reached[MARGIN + n] >= one and left[MARGIN + n] < one + timedelta(minutes=length) for one in begins)
        assert mute.holds(at(start) + timedelta(minutes=n)) is expected, n
