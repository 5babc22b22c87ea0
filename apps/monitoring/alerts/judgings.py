"""When minutes were judged, and so by which rules, channels, silences and mute windows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.models import Judging


@dataclass(frozen=True, slots=True)
class When:
    """The moment at which a minute was judged.

    It is not known of minutes that were judged before it was noted; then it is when the minute was due.
    """

    at: datetime
    is_known: bool

    def saw(self, edited: datetime) -> bool:
        """Whether an edit had been made by then."""
        return edited < self.at


@dataclass(frozen=True, slots=True)
class Judgings:
    """Of some minutes that follow each other."""

    _starts: list[datetime]
    _noted: list[Judging]
    _assumed: Mapping[int, datetime]

    @classmethod
    def read(cls, start: int, end: int) -> Judgings:
        """Of the minutes ``[start, end]``."""
        noted = Judging.objects.order_by("start")
        first = noted.filter(start__lte=to_datetime(start)).last()
        found = [first] if first is not None else []
        found += noted.filter(start__gt=to_datetime(start), start__lte=to_datetime(end))
        return cls([one.start for one in found], found, {})

    def of(self, minute: int) -> When:
        """When one of them was judged."""
        if minute in self._assumed:
            return When(self._assumed[minute], is_known=False)
        position = bisect_right(self._starts, to_datetime(minute)) - 1
        if position >= 0 and to_datetime(minute) < self._noted[position].until:
            return When(self._noted[position].at, is_known=True)
        return When(due(minute), is_known=False)

    def assuming(self, minute: int, at: datetime) -> Judgings:
        """The same, but one minute was judged at another moment."""
        return replace(self, _assumed={minute: at})


def due(minute: int) -> datetime:
    """When a minute can be judged at the earliest: the grace after its end is over."""
    return to_datetime(minute + 1) + timedelta(seconds=conf().grace_seconds)
