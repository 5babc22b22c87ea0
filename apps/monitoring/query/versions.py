"""What stored rows were made of. While that is the same, so are the rows, and what was read of them holds."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from apps.monitoring.core.resolution import Resolution, Stored, Stretch
from apps.monitoring.rollup import batches, periods


@dataclass(frozen=True, slots=True)
class Piece:
    """One minute, hour or day whose rows are of that resolution, and what they were made of."""

    resolution: Resolution
    start: int
    version: Hashable

    @property
    def end(self) -> int:
        """The first minute after it."""
        return self.start + self.resolution


def pieces(stored: Stored, stretches: Sequence[Stretch]) -> list[Piece]:
    """Every minute, hour and day of the stretches. Call it in the transaction that reads the rows.

    Minutes of an hour that is compacted are as they were then. Those of a stale one are known by the batches that they
    came with; where the proofs of these are gone, each answer has another version.
    """
    of_periods = periods.versions([_whole_hours(one) if one.resolution is Resolution.MINUTE else one for one in stretches])
    of_minutes: dict[int, Hashable] = {}
    for start, end in _stale_minutes(stored, stretches):
        if batches.without_proof(start):
            of_minutes |= {minute: object() for minute in range(start, end)}
        else:
            of_minutes |= batches.versions(start, end)

    def version(resolution: Resolution, start: int) -> Hashable:
        if resolution is not Resolution.MINUTE:
            return of_periods.get((resolution, start))
        return of_minutes.get(start) or of_periods.get((Resolution.HOUR, Resolution.HOUR.floor(start)))

    return [
        Piece(stretch.resolution, start, version(stretch.resolution, start))
        for stretch in stretches
        for start in range(stretch.start, stretch.end, stretch.resolution)
    ]


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
    hours = sorted(stored.stale.get(Resolution.HOUR, ()))
    for _, run in groupby(enumerate(hours), lambda at: at[1] - at[0] * Resolution.HOUR):
        own = [hour for _, hour in run]
        for stretch in stretches:
            start, end = max(stretch.start, own[0]), min(stretch.end, own[-1] + Resolution.HOUR)
            if stretch.resolution is Resolution.MINUTE and start < end:
                yield start, end
