"""What stored rows were made of. While that is the same, so are the rows, and what was read of them holds."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final, NamedTuple

from apps.monitoring.core.resolution import Resolution, Stored, Stretch
from apps.monitoring.query import remembered
from apps.monitoring.rollup import batches, periods

_MINUTE_BYTES: Final = 250
"""What the version of a minute takes of the memory."""

OfMinutes = Mapping[int, Hashable]
OfPeriods = Mapping[tuple[Resolution, int], Hashable]


class Piece(NamedTuple):
    """One minute, hour or day whose rows are of that resolution, and what they were made of.

    A tuple, because its hash is quick: a chart of a day looks for 1,440 of them.
    """

    resolution: Resolution
    start: int
    version: Hashable

    @property
    def end(self) -> int:
        """The first minute after it."""
        return self.start + self.resolution


def pieces(stored: Stored, stretches: Sequence[Stretch]) -> list[Piece]:
    """Every minute, hour and day of the stretches, but for days without rows. Call it in the transaction that reads the rows.

    Who writes rows notes the hour or day that they belong to: where none is noted, nobody has any. So a range costs what
    is in it, however long it is. Hours without rows stay: what is read would fall into as many stretches.
    A minute is known by the batches that it came with, before its hour is compacted and afterwards. Where the proofs of
    these are gone, a minute of a compacted hour is as it was then, and one of a stale hour has another version each time.
    """
    of_periods = periods.versions([_whole_hours(one) if one.resolution is Resolution.MINUTE else one for one in stretches])
    stretches = list(_with_rows(stretches, of_periods))
    of_minutes: dict[int, Hashable] = {}
    for start, end in _stale_minutes(stored, stretches):
        if batches.without_proof(start):
            of_minutes |= {minute: object() for minute in range(start, end)}
        else:
            of_minutes |= batches.versions(start, end)
    for own in _compacted_minutes(stored, stretches, of_periods):
        of_minutes |= own
    return [
        Piece(one, start, of_minutes.get(start) if one is Resolution.MINUTE else of_periods.get((one, start)))
        for one, first, last in ((stretch.resolution, stretch.start, stretch.end) for stretch in stretches)
        for start in range(first, last, one)
    ]


def _with_rows(stretches: Sequence[Stretch], of_periods: OfPeriods) -> Iterator[Stretch]:
    """The parts of the stretches that lie in days of which any hour, or the day itself, is noted."""
    days = sorted({Resolution.DAY.floor(start) for _, start in of_periods})
    for stretch in stretches:
        for first, last in _runs(days, Resolution.DAY):
            start, end = max(stretch.start, first), min(stretch.end, last)
            if start < end:
                yield Stretch(stretch.resolution, start, end)


def _compacted_minutes(stored: Stored, stretches: Sequence[Stretch], of_periods: OfPeriods) -> list[OfMinutes]:
    """The versions of the minutes of compacted hours that are read as minutes.

    An hour that is compacted and still the same has the batches that it had: they are looked up once for each hour.
    """
    stale = stored.stale.get(Resolution.HOUR, ())
    wholes = [_whole_hours(one) for one in stretches if one.resolution is Resolution.MINUTE]
    hours = sorted({hour for one in wholes for hour in range(one.start, one.end, Resolution.HOUR)}.difference(stale))

    def read(missing: list[int]) -> list[OfMinutes]:
        found: dict[int, dict[int, Hashable]] = {hours[place]: {} for place in missing}
        for start, end in _runs([hour for hour in found if not batches.without_proof(hour)], Resolution.HOUR):
            for minute, version in batches.versions(start, end).items():
                found[Resolution.HOUR.floor(minute)][minute] = version
        for hour in filter(batches.without_proof, found):
            found[hour] = dict.fromkeys(range(hour, hour + Resolution.HOUR), of_periods.get((Resolution.HOUR, hour)))
        return list(found.values())

    return remembered.each(
        [("batches", hour, of_periods.get((Resolution.HOUR, hour))) for hour in hours],
        read,
        lambda own: _MINUTE_BYTES * len(own),
    )


def joined(found: Sequence[Piece]) -> Iterator[Stretch]:
    """The stretches that pieces in ascending order make up."""
    for (resolution, _), run in groupby(
        enumerate(found), lambda at: (at[1].resolution, at[1].start - at[0] * at[1].resolution)
    ):
        own = [piece for _, piece in run]
        yield Stretch(resolution, own[0].start, own[-1].end)


def _whole_hours(stretch: Stretch) -> Stretch:
    return Stretch(Resolution.HOUR, Resolution.HOUR.floor(stretch.start), Resolution.HOUR.ceil(stretch.end))


def _stale_minutes(stored: Stored, stretches: Sequence[Stretch]) -> Iterator[tuple[int, int]]:
    """The minutes of stale hours that are read as minutes."""
    for first, last in _runs(sorted(stored.stale.get(Resolution.HOUR, ())), Resolution.HOUR):
        for stretch in stretches:
            start, end = max(stretch.start, first), min(stretch.end, last)
            if stretch.resolution is Resolution.MINUTE and start < end:
                yield start, end


def _runs(starts: Sequence[int], length: Resolution) -> Iterator[tuple[int, int]]:
    """Hours or days in ascending order as stretches of minutes."""
    for _, run in groupby(enumerate(starts), lambda at: at[1] - at[0] * length):
        own = [start for _, start in run]
        yield own[0], own[-1] + length
