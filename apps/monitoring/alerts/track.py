"""One metric of many tenants as windows that slide over its minutes: each stored row is taken in once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from apps.monitoring.core import distinct, histogram, sliding
from apps.monitoring.core.clock import SECONDS
from apps.monitoring.core.frame import Floats, Integers, Mask
from apps.monitoring.query.minutes import MISSING, Stored

_TYPES: Final = {"minima": np.float64, "maxima": np.float64, "hashes": np.uint64}


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of stored rows, laid flat: the row of the tenant and the minute of each. NaN is missing."""

    rows: Integers
    minutes: Integers
    counts: Integers
    sums: Integers
    summed: Integers
    """1 where there is a sum, 0 where there is none."""
    minima: Floats
    maxima: Floats


@dataclass(frozen=True, slots=True)
class Buckets:
    """The entries of stored histograms, laid flat."""

    rows: Integers
    minutes: Integers
    buckets: Integers
    counts: Integers


@dataclass(frozen=True, slots=True)
class Members:
    """The hashes of stored sketches that still are sets, laid flat."""

    rows: Integers
    minutes: Integers
    hashes: npt.NDArray[np.uint64]


class Track:
    """The windows of ``window`` minutes, stretch after stretch. ``series`` are numbers, each with the row of its tenant."""

    def __init__(self, series: Mapping[int, int], tenants: int, window: int, *, sketched: bool) -> None:
        self.series = series
        self._tenants, self._window, self._sketched = tenants, window, sketched
        self._numbers: Numbers = _empty(Numbers)
        self._buckets: Buckets = _empty(Buckets)
        self._members: Members = _empty(Members)
        self._crowds: list[tuple[int, int, bytes]] = []
        """Sketches that are no sets any more: row, minute, bytes."""
        self._start = self._end = 0

    def slide(self, start: int, end: int, read: Mapping[int, Stored]) -> None:
        """The windows that end with the minutes ``[start, end)``; ``read`` are the rows that were not shown before."""
        self._start, self._end = start, end
        first = start - self._window + 1
        self._numbers = _since(first, self._numbers)
        self._buckets = _since(first, self._buckets)
        self._members = _since(first, self._members)
        self._crowds = [crowd for crowd in self._crowds if crowd[1] >= first]
        own = [(row, read[number]) for number, row in self.series.items() if number in read]
        if own:
            self._take([row for row, _ in own], [stored for _, stored in own])

    def present(self) -> Mask:
        """Whether the window has a row at all."""
        found: Mask = self._sum(np.ones_like(self._numbers.rows)) > 0
        return found

    def counts(self, firsts: Integers | None = None) -> Integers:
        """How often, or how many different ones. With ``firsts`` not of the windows but since these minutes: see `sums`."""
        return self._distinct() if self._sketched else self._sum(self._numbers.counts, firsts)

    def rates(self) -> Floats:
        """Counts a second."""
        return self.counts() / (self._window * SECONDS)

    def sums(self, firsts: Integers | None = None) -> Floats:
        """The sums in storage units; NaN without any.

        With ``firsts`` not of the windows but since these minutes, one for each window, which hold them.
        """
        found = self._sum(self._numbers.sums, firsts).astype(np.float64)
        found[self._sum(self._numbers.summed, firsts) == 0] = np.nan
        return found

    def minima(self) -> Floats:
        """The smallest values in storage units; NaN without any."""
        return _finite(sliding.minima(self._laid(self._numbers.minima, np.fmin, np.inf), self._window))

    def maxima(self) -> Floats:
        """The largest values in storage units; NaN without any."""
        return _finite(sliding.maxima(self._laid(self._numbers.maxima, np.fmax, -np.inf), self._window))

    def quantiles(self, q: float) -> Floats:
        """The quantiles in storage units; NaN without samples."""
        own = self._buckets
        entries = sliding.Entries(own.rows, self._columns(own.minutes), own.buckets, own.counts)
        return sliding.quantiles(entries, q, (self.minima(), self.maxima()), self._window)

    def _columns(self, minutes: Integers) -> Integers:
        return minutes - (self._start - self._window + 1)

    @property
    def _shape(self) -> tuple[int, int]:
        return self._tenants, self._end - self._start + self._window - 1

    def _sum(self, values: Integers, firsts: Integers | None = None) -> Integers:
        laid = np.zeros(self._shape, dtype=np.int64)
        np.add.at(laid, (self._numbers.rows, self._columns(self._numbers.minutes)), values)
        return (
            sliding.sums(laid, self._window)
            if firsts is None
            else sliding.sums_since(laid, self._columns(firsts), self._window)
        )

    def _laid(self, values: Floats, choose: np.ufunc, nothing: float) -> Floats:
        laid = np.full(self._shape, nothing)
        choose.at(laid, (self._numbers.rows, self._columns(self._numbers.minutes)), values)
        return laid

    def _distinct(self) -> Integers:
        own, shape = self._members, (self._tenants, self._end - self._start)
        found = sliding.distinct(own.rows, self._columns(own.minutes), own.hashes, shape, self._window)
        crowded = found > distinct.EXACT
        for row, minute, _ in self._crowds:
            at = minute - self._start
            crowded[row, max(at, 0) : max(at + self._window, 0)] = True
        for row, column in zip(*np.nonzero(crowded), strict=True):
            found[row, column] = self._estimate(int(row), self._start + int(column))
        return found

    def _estimate(self, row: int, minute: int) -> int:
        """The count of one window that has more members than are counted one by one."""
        own, first = self._members, minute - self._window + 1
        inside = (own.rows == row) & (own.minutes >= first) & (own.minutes <= minute)
        crowds = [data for owner, at, data in self._crowds if owner == row and first <= at <= minute]
        return distinct.count(distinct.merge([distinct.encode(own.hashes[inside]), *crowds]))

    def _take(self, rows: list[int], read: list[Stored]) -> None:
        owners = np.repeat(np.array(rows, dtype=np.int64), [one.minutes.size for one in read])
        minutes = np.concatenate([one.minutes for one in read])
        sums = np.concatenate([one.sums for one in read])
        summed = (sums != MISSING).astype(np.int64)
        counts = np.concatenate([one.counts for one in read])
        self._numbers = _joined(
            self._numbers,
            Numbers(
                owners,
                minutes,
                np.where(counts == MISSING, 0, counts),
                sums * summed,
                summed,
                _floats(np.concatenate([one.minima for one in read])),
                _floats(np.concatenate([one.maxima for one in read])),
            ),
        )
        lengths = np.concatenate([one.lengths for one in read])
        data = b"".join([one.data for one in read])
        if data and self._sketched:
            self._take_sketches(owners, minutes, lengths, data)
        elif data:
            self._take_histograms(owners, minutes, lengths, data)

    def _take_histograms(self, owners: Integers, minutes: Integers, lengths: Integers, data: bytes) -> None:
        entries = np.frombuffer(data, dtype=histogram.ROW)
        numbers = lengths // histogram.ROW.itemsize
        buckets, counts = entries["bucket"].astype(np.int64), entries["count"].astype(np.int64)
        own = Buckets(np.repeat(owners, numbers), np.repeat(minutes, numbers), buckets, counts)
        self._buckets = _joined(self._buckets, own)

    def _take_sketches(self, owners: Integers, minutes: Integers, lengths: Integers, data: bytes) -> None:
        ends = np.cumsum(lengths).tolist()
        sketches = [data[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]
        hashes = [distinct.members(sketch) for sketch in sketches]
        sizes = [0 if own is None else own.size for own in hashes]
        flat = np.concatenate([np.empty(0, dtype=np.uint64), *(own for own in hashes if own is not None)])
        self._members = _joined(self._members, Members(np.repeat(owners, sizes), np.repeat(minutes, sizes), flat))
        for number in (number for number, own in enumerate(hashes) if own is None):
            self._crowds.append((int(owners[number]), int(minutes[number]), sketches[number]))


def _empty(kind: type[Any]) -> Any:
    return kind(*(np.empty(0, dtype=_TYPES.get(field.name, np.int64)) for field in fields(kind)))


def _since(first: int, flat: Any) -> Any:
    kept = flat.minutes >= first
    return type(flat)(*(getattr(flat, field.name)[kept] for field in fields(flat)))


def _joined(one: Any, other: Any) -> Any:
    return type(one)(*(np.concatenate([getattr(one, field.name), getattr(other, field.name)]) for field in fields(one)))


def _floats(numbers: Integers) -> Floats:
    return np.where(numbers == MISSING, np.nan, numbers.astype(np.float64))


def _finite(values: Floats) -> Floats:
    return np.where(np.isinf(values), np.nan, values)
