"""What one tenant did in one minute, as far as this process knows, until it is flushed."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from apps.monitoring.core.histogram import bucket_of

COUNT: Final = "n"
SUM: Final = "s"
MIN: Final = "<"
MAX: Final = ">"
"""The parts of a field in the hot store; a histogram bucket's part is its number."""

Plain = tuple[dict[str, int], dict[str, list[int]], dict[str, tuple[int, int, int, dict[int, int]]], dict[str, bytes]]
"""Counters, amounts, distributions (sum, low, high, buckets), members of sets."""

_ABOVE_ALL: Final = 1 << 62


class Distribution:
    """The values of a histogram: their sum, extremes and buckets; the count is the sum of the buckets.

    Without a value, `low` is above and `high` below every value that a record may have.
    """

    __slots__ = ("buckets", "high", "low", "sum")

    def __init__(self) -> None:
        self.sum = 0
        self.low = _ABOVE_ALL
        self.high = -1
        self.buckets: dict[int, int] = {}

    def merge(self, other: Distribution) -> None:
        """Add what another one holds."""
        self.sum += other.sum
        self.low = min(self.low, other.low)
        self.high = max(self.high, other.high)
        buckets = self.buckets
        for bucket, count in other.buckets.items():
            buckets[bucket] = buckets.get(bucket, 0) + count


class Slot:
    """Series by their spelling in the hot store (`core.series.encode`). Merging is associative and commutative."""

    __slots__ = ("amounts", "counters", "distributions", "members")

    def __init__(self) -> None:
        self.counters: dict[str, int] = {}
        self.amounts: dict[str, list[int]] = {}
        self.distributions: dict[str, Distribution] = {}
        self.members: dict[str, set[int]] = {}

    def count(self, series: str, times: int = 1) -> None:
        """Count an event of a counter."""
        self.counters[series] = self.counters.get(series, 0) + times

    def add(self, series: str, value: int, times: int = 1) -> None:
        """Add a value (or the sum of several) to an amount."""
        known = self.amounts.get(series)
        if known is None:
            self.amounts[series] = [times, value]
        else:
            known[0] += times
            known[1] += value

    def observe(self, series: str, value: int) -> None:
        """Add a value to a histogram."""
        found = self.distributions.get(series)
        if found is None:
            found = self.distributions[series] = Distribution()
        found.sum += value
        if value < found.low:  # noqa: PLR1730 - half the time of min()
            found.low = value
        if value > found.high:  # noqa: PLR1730
            found.high = value
        buckets = found.buckets
        bucket = bucket_of(value)
        buckets[bucket] = buckets.get(bucket, 0) + 1

    def merge_distribution(self, series: str, other: Distribution) -> None:
        """Add the values of another histogram."""
        found = self.distributions.get(series)
        if found is None:
            found = self.distributions[series] = Distribution()
        found.merge(other)

    def include(self, series: str, member: int) -> None:
        """Put a member into a set of different ones."""
        found = self.members.get(series)
        if found is None:
            self.members[series] = {member}
        else:
            found.add(member)

    def merge(self, other: Slot) -> None:
        """Add what another slot of the same tenant and minute knows."""
        for series, times in other.counters.items():
            self.count(series, times)
        for series, (times, total) in other.amounts.items():
            self.add(series, total, times)
        for series, distribution in other.distributions.items():
            self.merge_distribution(series, distribution)
        for series, members in other.members.items():
            self.members.setdefault(series, set()).update(members)

    def plain(self) -> Plain:
        """Its content as dicts and numbers, which `marshal` can write."""
        spread = {series: (d.sum, d.low, d.high, d.buckets) for series, d in self.distributions.items()}
        members = {series: array("q", own).tobytes() for series, own in self.members.items()}
        return self.counters, self.amounts, spread, members

    @classmethod
    def of(cls, plain: Plain) -> Slot:
        """Reverse of `plain`; takes the dicts over."""
        slot = cls()
        slot.counters, slot.amounts, spread, members = plain
        for series, (total, low, high, buckets) in spread.items():
            own = slot.distributions[series] = Distribution()
            own.sum, own.low, own.high, own.buckets = total, low, high, buckets
        slot.members = {series: set(array("q", own)) for series, own in members.items()}
        return slot

    def __len__(self) -> int:
        """How many fields and members it holds: what bounds on memory are counted in."""
        return (
            len(self.counters)
            + 2 * len(self.amounts)
            + sum(3 + len(d.buckets) for d in self.distributions.values())
            + sum(map(len, self.members.values()))
        )

    def sums(self) -> Iterator[tuple[str, int]]:
        """The fields that add up in the hot store: series, a colon, part."""
        for series, times in self.counters.items():
            yield f"{series}:{COUNT}", times
        for series, (times, total) in self.amounts.items():
            yield f"{series}:{COUNT}", times
            yield f"{series}:{SUM}", total
        for series, distribution in self.distributions.items():
            yield f"{series}:{SUM}", distribution.sum
            for bucket, count in distribution.buckets.items():
                yield f"{series}:{bucket}", count

    def lows(self) -> Iterator[tuple[str, int]]:
        """The fields of which the smaller value stays."""
        for series, distribution in self.distributions.items():
            if distribution.buckets:
                yield f"{series}:{MIN}", distribution.low

    def highs(self) -> Iterator[tuple[str, int]]:
        """The fields of which the larger value stays."""
        for series, distribution in self.distributions.items():
            if distribution.buckets:
                yield f"{series}:{MAX}", distribution.high
