"""What one series did in some stretch of time, and how two such stretches become one."""

from __future__ import annotations

from dataclasses import dataclass, field

from apps.monitoring.catalogue import DISTINCT
from apps.monitoring.core import distinct, histogram


@dataclass(slots=True)
class Cell:
    """Integers in the metric's storage unit. ``sum`` is None for a counter, ``min``, ``max`` for all but a histogram.

    ``sketches`` holds encoded distinct-count sketches whose union is meant; they are merged only when asked for.
    """

    count: int = 0
    sum: int | None = None
    min: int | None = None
    max: int | None = None
    buckets: histogram.Buckets = field(default_factory=dict)
    sketches: list[bytes] = field(default_factory=list)

    def merge(self, other: Cell) -> None:
        """Add another stretch of the same series (or of another series of the same metric)."""
        self.count += other.count
        if other.sum is not None:
            self.sum = other.sum + (self.sum or 0)
        if other.min is not None:
            self.min = other.min if self.min is None else min(self.min, other.min)
        if other.max is not None:
            self.max = other.max if self.max is None else max(self.max, other.max)
        histogram.merge(self.buckets, other.buckets)
        self.sketches.extend(other.sketches)

    @classmethod
    def stored(cls, metric: str, count: int, total: int | None, low: int | None, high: int | None, data: bytes | None) -> Cell:
        """The cell of a snapshot row; its metric says whether the bytes are a sketch or a histogram."""
        cell = cls(count, total, low, high)
        if data is not None and metric in DISTINCT:
            cell.sketches = [bytes(data)]
        elif data is not None:
            cell.buckets = histogram.decode(bytes(data))
        return cell

    def quantile(self, q: float) -> float | None:
        """Nearest-rank quantile in storage units."""
        return histogram.quantile(self.buckets, q, self.min, self.max)

    def mean(self) -> float | None:
        """Mean in storage units; None without values."""
        return self.sum / self.count if self.sum is not None and self.count else None

    def distinct(self) -> int:
        """How many different members."""
        return distinct.count(distinct.merge(self.sketches)) if self.sketches else 0

    def data(self) -> bytes | None:
        """The bytes that a snapshot row keeps beside the numbers."""
        if self.sketches:
            return distinct.merge(self.sketches)
        return histogram.encode(self.buckets) if self.buckets else None
