"""Distributions as base-2 exponential histograms (the OpenTelemetry data model) at one fixed scale.

https://opentelemetry.io/docs/specs/otel/metrics/data-model/#exponentialhistogram, scale 6: 64 buckets to a
power of two, bucket ``i`` holds ``(2**(i/64), 2**((i+1)/64)]``. A value read back as the bucket's middle is
off by at most 0.54 %. Merging adds counts, so the order and the number of merges never matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import ceil, exp2, log2
from typing import Final

import numpy as np
import numpy.typing as npt

BUCKETS_PER_OCTAVE: Final = 64
ZERO: Final = -32768
"""The bucket of the value 0, below every other."""

ROW: Final = np.dtype([("bucket", "<i2"), ("count", "<u4")])
"""An entry as `encode` spells it."""
_MAX_COUNT: Final = 2**32 - 1
_BUCKET_BITS: Final = 16

Buckets = dict[int, int]


def bucket_of(value: int) -> int:
    """The bucket of a value in storage units. Raises ValueError below 0."""
    if value > 0:
        return ceil(log2(value) * BUCKETS_PER_OCTAVE) - 1
    if value == 0:
        return ZERO
    msg = f"a histogram holds no negative value: {value}"
    raise ValueError(msg)


def value_of(bucket: int) -> float:
    """The value that stands for a bucket: the middle that makes the relative error equal on both sides."""
    if bucket == ZERO:
        return 0.0
    lower = exp2(bucket / BUCKETS_PER_OCTAVE)
    upper = exp2((bucket + 1) / BUCKETS_PER_OCTAVE)
    return 2.0 * lower * upper / (lower + upper)


def merge(into: Buckets, other: Mapping[int, int]) -> None:
    """Add the counts of ``other``."""
    if not into:
        into.update(other)
        return
    for bucket, count in other.items():
        into[bucket] = into.get(bucket, 0) + count


def quantile(buckets: Mapping[int, int], q: float, minimum: int | None, maximum: int | None) -> float | None:
    """The nearest-rank quantile in storage units, within 0.54 %; None without samples.

    It never leaves ``[minimum, maximum]``, which also makes it exact for one value and for the largest one.
    """
    total = sum(buckets.values())
    if total == 0:
        return None
    rank = max(1, ceil(q * total))
    if maximum is not None and rank == total:
        return float(maximum)
    seen = 0
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            break
    value = value_of(bucket)
    if minimum is not None:
        value = max(value, float(minimum))
    if maximum is not None:
        value = min(value, float(maximum))
    return value


def cumulative(buckets: Mapping[int, int], limits: Iterable[int]) -> list[int]:
    """How many values are in each of the buckets ``limits``, which ascend, or in one below it."""
    found: list[int] = []
    seen, waiting = 0, sorted(buckets, reverse=True)
    for limit in limits:
        while waiting and waiting[-1] <= limit:
            seen += buckets[waiting.pop()]
        found.append(seen)
    return found


def encode(buckets: Mapping[int, int]) -> bytes:
    """Six bytes a bucket, sorted; a count beyond 32 bits is split over several entries."""
    entries: list[tuple[int, int]] = []
    for bucket in sorted(buckets):
        count = buckets[bucket]
        while count > _MAX_COUNT:
            entries.append((bucket, _MAX_COUNT))
            count -= _MAX_COUNT
        entries.append((bucket, count))
    return np.array(entries, dtype=ROW).tobytes()


def encodes(
    buckets: npt.NDArray[np.int64], counts: npt.NDArray[np.int64], slices: Iterable[tuple[int, int]]
) -> Iterator[bytes]:
    """`encode` of many histograms at once: each is a slice of ``buckets`` (sorted there) and ``counts``."""
    rows = np.empty(buckets.size, dtype=ROW)
    rows["bucket"] = buckets
    rows["count"] = np.minimum(counts, _MAX_COUNT)
    spelled = rows.tobytes()
    split = set(np.flatnonzero(counts > _MAX_COUNT).tolist())
    for start, end in slices:
        if split and not split.isdisjoint(range(start, end)):
            yield encode(dict(zip(buckets[start:end].tolist(), counts[start:end].tolist(), strict=True)))
        else:
            yield spelled[start * ROW.itemsize : end * ROW.itemsize]


def decode(data: bytes) -> Buckets:
    """Reverse of `encode`."""
    rows = np.frombuffer(data, dtype=ROW)
    entries = list(zip(rows["bucket"].tolist(), rows["count"].tolist(), strict=True))
    buckets: Buckets = dict(entries)
    if len(buckets) == len(entries):
        return buckets
    buckets.clear()
    for bucket, count in entries:
        buckets[bucket] = buckets.get(bucket, 0) + count
    return buckets


class Groups:
    """Many groups of encoded histograms, put in order once for all the quantiles that are asked for.

    ``data`` are the histograms one after the other, ``groups[i]`` is the group of the i-th and ``lengths[i]`` how many bytes
    it takes; ``minima`` and ``maxima`` have one entry a group.
    """

    def __init__(
        self,
        groups: npt.NDArray[np.int64],
        lengths: npt.NDArray[np.int64],
        data: bytes,
        minima: npt.NDArray[np.float64],
        maxima: npt.NDArray[np.float64],
    ) -> None:
        self._minima, self._maxima = minima, maxima
        rows = np.frombuffer(data, dtype=ROW)
        owner = np.repeat(groups, lengths // ROW.itemsize)
        # One number to sort by, which mostly comes in a few runs that are in order: a stable sort merges them.
        place = (owner << _BUCKET_BITS) + rows["bucket"] - ZERO
        order = np.argsort(place, kind="stable")
        self._buckets = rows["bucket"][order]
        counts = rows["count"][order].astype(np.int64)
        self._until = np.cumsum(counts)
        self._totals = np.zeros(len(minima), dtype=np.int64)
        np.add.at(self._totals, owner[order], counts)

    def quantiles(self, q: float) -> npt.NDArray[np.float64]:
        """`quantile` of each group; NaN where a group has no samples."""
        result = np.full(len(self._minima), np.nan)
        present = self._totals > 0
        ranks = np.maximum(1, np.ceil(q * self._totals)).astype(np.int64)
        before = np.cumsum(self._totals) - self._totals
        chosen = self._buckets[np.searchsorted(self._until, (before + ranks)[present])].astype(np.float64)
        largest = ranks[present] == self._totals[present]
        result[present] = read_back(chosen, largest, self._minima[present], self._maxima[present])
        return result


def read_back(
    buckets: npt.NDArray[np.float64],
    largest: npt.NDArray[np.bool_],
    minima: npt.NDArray[np.float64],
    maxima: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """The values that many buckets stand for, each within its histogram's extremes; where it is the largest, the maximum."""
    lower, upper = 2.0 ** (buckets / BUCKETS_PER_OCTAVE), 2.0 ** ((buckets + 1) / BUCKETS_PER_OCTAVE)
    middle = np.where(buckets == ZERO, 0.0, 2.0 * lower * upper / np.maximum(lower + upper, np.finfo(np.float64).tiny))
    return np.where(largest, maxima, np.clip(middle, minima, maxima))
