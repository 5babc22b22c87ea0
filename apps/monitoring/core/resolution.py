"""How long the period of a stored row is, and which resolutions answer a range exactly."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Resolution(IntEnum):
    """Minutes in the period of a snapshot."""

    MINUTE = 1
    HOUR = 60
    DAY = 1440

    def floor(self, minute: int) -> int:
        """The start of the period that a minute lies in."""
        return minute - minute % self

    def ceil(self, minute: int) -> int:
        """The first start of a period that is not before a minute."""
        return -(-minute // self) * self

    @property
    def finer(self) -> Resolution:
        """What a period of this resolution is made of. Raises KeyError for the finest."""
        return _FINER[self]

    @property
    def coarser(self) -> Resolution | None:
        """What periods of this resolution are merged into; None for the coarsest."""
        return _COARSER.get(self)


_FINER: Final = {Resolution.HOUR: Resolution.MINUTE, Resolution.DAY: Resolution.HOUR}
_COARSER: Final = {finer: coarser for coarser, finer in _FINER.items()}


@dataclass(frozen=True, slots=True)
class Stretch:
    """The minutes ``[start, end)`` are read from the rows of one resolution."""

    resolution: Resolution
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Stored:
    """What is where: the periods whose rows are not up to date, and before which minute a resolution has no rows any more."""

    stale: Mapping[Resolution, Collection[int]]
    """Starts of hours and days whose finer rows have changed since they were compacted, or that never were."""
    floors: Mapping[Resolution, int]

    def widen(self, start: int, end: int) -> tuple[int, int]:
        """The smallest range around ``[start, end)`` that what is kept can still answer: whole hours, then whole days."""
        for resolution in (Resolution.HOUR, Resolution.DAY):
            floor = self.floors.get(resolution.finer, start)
            if start < floor:
                start = resolution.floor(start)
            if end < floor:
                end = resolution.ceil(end)
        return start, end

    def stretches(self, start: int, end: int, coarsest: Resolution = Resolution.DAY) -> list[Stretch]:
        """From the coarsest resolution that answers exactly, in order, to finer ones at the edges and where rows are stale.

        Call it with a range that `widen` leaves as it is.
        """
        found: list[Stretch] = []
        for one in self._split(coarsest, start, end):
            last = found[-1] if found else None
            if last is not None and last.resolution is one.resolution:
                found[-1] = Stretch(one.resolution, last.start, one.end)
            elif one.start < one.end:
                found.append(one)
        return found

    def _split(self, resolution: Resolution, start: int, end: int) -> list[Stretch]:
        if resolution is Resolution.MINUTE:
            return [Stretch(resolution, start, end)]
        first, last = resolution.ceil(start), resolution.floor(end)
        if first >= last:
            return self._split(resolution.finer, start, end)
        found = self._split(resolution.finer, start, first)
        at = first
        for stale in self._stale(resolution, first, last):
            found += [Stretch(resolution, at, stale), *self._split(resolution.finer, stale, stale + resolution)]
            at = stale + resolution
        return [*found, Stretch(resolution, at, last), *self._split(resolution.finer, last, end)]

    def _stale(self, resolution: Resolution, first: int, last: int) -> list[int]:
        """A period with a stale one in it is stale too."""
        starts = {resolution.floor(at) for kind, periods in self.stale.items() if kind <= resolution for at in periods}
        return sorted(at for at in starts if first <= at < last)
