"""Stretches of the week in which nobody is told, by the clock on a wall somewhere.

The clock of a wall jumps. What a window holds is said for every instant, those of a jump included:

- It begins when the clock first shows its beginning or later: at 02:30 on the night that has no 02:30, with the jump to 03:00.
- It is over when the clock will not show anything before its end again: until 02:30 on the night that has it twice is until the
  second time. So it is one stretch, without a gap between the two, longer or shorter by what the clock jumps.
- One that lies within what a jump leaves out does not happen that night.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.silences import Matchers, Quiet

_DAY = timedelta(days=1)
_CALLED: Final = "mute window "


def nameless(reason: str) -> str:
    """A reason of the history without the name of the mute window that held back: it may be about others."""
    before, found, _ = reason.partition(_CALLED)
    return f"{before}a mute window" if found else reason


@dataclass(frozen=True, slots=True)
class MuteWindow:
    """``[start, end)`` by the clock of ``zone``, on days that begin on ``weekdays`` (Monday is 0).

    An end that is not after the start is of the next day; the same time twice is 24 hours. What happens after midnight
    belongs to the weekday that it began on.
    """

    name: str
    matchers: Matchers
    weekdays: frozenset[int]
    start: time
    end: time
    zone: str

    def quiet(self, minute: int) -> Quiet | None:
        """What it holds back of a judged minute; None when it is not in force when the minute has ended."""
        return Quiet(f"{_CALLED}{self.name}", self.matchers) if self.holds(to_datetime(minute + 1)) else None

    def holds(self, moment: datetime) -> bool:
        """Whether an aware moment lies in it. Raises ZoneInfoNotFoundError."""
        zone = ZoneInfo(self.zone)
        shown = moment.astimezone(zone).replace(tzinfo=None)
        # A clock that is put back over midnight shows yesterday again, so tomorrow's window may have begun.
        for days in (-1, 0, 1):
            date = shown.date() + timedelta(days=days)
            if date.weekday() in self.weekdays:
                begin, over = datetime.combine(date, self.start), datetime.combine(date, self.end)
                if over <= begin:
                    over += _DAY
                begun = shown >= begin or moment >= _instant(begin, zone, fold=0)
                lasts = shown < over or moment < _instant(over, zone, fold=1)
                if begun and lasts:
                    return True
        return False


def _instant(shown: datetime, zone: ZoneInfo, fold: int) -> datetime:
    """When the clock shows that, the first time or the second."""
    return shown.replace(tzinfo=zone, fold=fold).astimezone(UTC)
