"""Calendar days and months, in minutes: where the one that a minute lies in begins, and where the next one does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from apps.monitoring.core.clock import to_datetime, to_minute


class Period(StrEnum):
    """What a budget is for."""

    DAY = "day"
    MONTH = "month"


LONGEST: Final[Mapping[str, int]] = MappingProxyType({Period.DAY: 27 * 60, Period.MONTH: 31 * 24 * 60 + 180})
"""Minutes, with what a day may have more when the clocks go back: an hour in most places, two in Troll, three in Casey."""


def bounds(period: Period, minute: int, time_zone: str) -> tuple[int, int]:
    """The first minute of the period that a minute lies in, by the clocks of a time zone, and that of the next one."""
    zone = ZoneInfo(time_zone)
    local = to_datetime(minute).astimezone(zone)
    start = datetime(local.year, local.month, 1 if period is Period.MONTH else local.day, tzinfo=zone)
    # The same hour some days on, whatever the clocks do in between.
    after = start + timedelta(days=1 if period is Period.DAY else 32)
    end = after if period is Period.DAY else after.replace(day=1)
    return to_minute(start), to_minute(end)
