"""What one tenant did in one minute, as far as this process knows: the form that is flushed as it is.

A field is the spelling of a series in the hot store (`core.series.encode`), a colon, and a part: ``n`` the count,
``s`` the sum, ``<`` the minimum, ``>`` the maximum, or the number of a histogram bucket.
"""

from __future__ import annotations

from typing import Final

from apps.monitoring.core.histogram import bucket_of

COUNT: Final = "n"
SUM: Final = "s"
MIN: Final = "<"
MAX: Final = ">"


class Slot:
    """Counters that add up, extremes that do not, and members of sets. Merging is associative and commutative."""

    __slots__ = ("highs", "lows", "members", "sums")

    def __init__(self) -> None:
        self.sums: dict[str, int] = {}
        self.lows: dict[str, int] = {}
        self.highs: dict[str, int] = {}
        self.members: dict[str, set[int]] = {}

    def count(self, series: str, times: int = 1) -> None:
        """Count an event of a counter."""
        field = f"{series}:n"
        self.sums[field] = self.sums.get(field, 0) + times

    def add(self, series: str, value: int) -> None:
        """Add a value to an amount."""
        self.count(series)
        field = f"{series}:s"
        self.sums[field] = self.sums.get(field, 0) + value

    def observe(self, series: str, value: int) -> None:
        """Put a value into a histogram; its count is the sum of its buckets."""
        sums = self.sums
        field = f"{series}:{bucket_of(value)}"
        sums[field] = sums.get(field, 0) + 1
        field = f"{series}:s"
        sums[field] = sums.get(field, 0) + value
        field = f"{series}:<"
        if value < self.lows.get(field, value + 1):
            self.lows[field] = value
        field = f"{series}:>"
        if value > self.highs.get(field, value - 1):
            self.highs[field] = value

    def include(self, series: str, member: int) -> None:
        """Put a member into a set of different ones."""
        self.members.setdefault(series, set()).add(member)

    def merge(self, other: Slot) -> None:
        """Add what another slot of the same tenant and minute knows."""
        for field, value in other.sums.items():
            self.sums[field] = self.sums.get(field, 0) + value
        for field, value in other.lows.items():
            self.lows[field] = min(value, self.lows.get(field, value))
        for field, value in other.highs.items():
            self.highs[field] = max(value, self.highs.get(field, value))
        for series, members in other.members.items():
            self.members.setdefault(series, set()).update(members)

    def __len__(self) -> int:
        """How many fields and members it holds: what bounds memory is counted in."""
        return len(self.sums) + len(self.lows) + len(self.highs) + sum(map(len, self.members.values()))
