"""The bytes of many rows merged at once: what compaction and reading of long ranges spend their time on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from apps.monitoring.core import distinct, histogram

_ROW: Final = np.dtype([("bucket", "<i2"), ("count", "<u4")])
"""An entry as `histogram.encode` spells it."""
_MAX_COUNT: Final = 2**32 - 1
_MANY: Final = 5_000
_EXACT: Final = 2**53 // 2**32
_FEW_KEYS: Final = 2**20
"""Up to here adding up into an array of all keys is faster than sorting them."""

Integers = npt.NDArray[np.int64]


def sketches(groups: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The union of each group of encoded sketches."""
    return [own[0] if len(own) == 1 else distinct.merge(own) for own in groups]


def histograms(groups: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The merge of each group of encoded histograms."""
    result = [b""] * len(groups)
    few: list[int] = []
    for number, own in enumerate(groups):
        length = sum(map(len, own)) // _ROW.itemsize
        if _MANY <= length <= _EXACT:
            result[number] = _one(b"".join(own))
        else:
            few.append(number)
    for number, data in zip(few, _together([groups[number] for number in few]), strict=True):
        result[number] = data
    return result


def _one(data: bytes) -> bytes:
    """The merge of one group with so many entries that an array of all buckets costs less than sorting them."""
    rows = np.frombuffer(data, dtype=_ROW)
    # As floats, which are exact as long as there are not more than _EXACT entries.
    sums = np.bincount(rows["bucket"].astype(np.int64) - histogram.ZERO, weights=rows["count"])
    buckets = np.flatnonzero(sums)
    return _spelled(buckets + histogram.ZERO, sums[buckets].astype(np.int64))


def _spelled(buckets: Integers, counts: Integers) -> bytes:
    if counts.size and counts.max() > _MAX_COUNT:
        return histogram.encode(dict(zip(buckets.tolist(), counts.tolist(), strict=True)))
    merged = np.empty(buckets.size, dtype=_ROW)
    merged["bucket"], merged["count"] = buckets, counts
    return merged.tobytes()


def _together(groups: Sequence[Sequence[bytes]]) -> list[bytes]:
    rows = np.frombuffer(b"".join(data for own in groups for data in own), dtype=_ROW)
    lengths = [sum(map(len, own)) // _ROW.itemsize for own in groups]
    buckets, numbers = np.unique(rows["bucket"], return_inverse=True)
    # Group and bucket in one number, the buckets in order.
    keys = np.repeat(np.arange(len(groups), dtype=np.int64), lengths) * buckets.size + numbers
    keys, counts = _added_up(keys, rows["count"], len(groups) * buckets.size)
    merged = np.empty(keys.size, dtype=_ROW)
    merged["bucket"] = buckets[keys % max(buckets.size, 1)]
    merged["count"] = np.minimum(counts, _MAX_COUNT)
    ends = np.searchsorted(keys, np.arange(1, len(groups) + 1) * buckets.size).tolist()
    spans = [slice(start, end) for start, end in zip([0, *ends], ends, strict=False)]
    result = [merged[span].tobytes() for span in spans]
    for group in set((keys[counts > _MAX_COUNT] // max(buckets.size, 1)).tolist()):
        result[group] = _spelled(merged["bucket"][spans[group]], counts[spans[group]])
    return result


def _added_up(keys: Integers, counts: npt.NDArray[np.uint32], key_count: int) -> tuple[Integers, Integers]:
    """The different keys in order, each with the sum of its counts."""
    if key_count <= max(_FEW_KEYS, 4 * keys.size):
        sums = np.zeros(key_count, dtype=np.int64)
        np.add.at(sums, keys, counts)
        found = np.flatnonzero(sums)
        return found, sums[found]
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.diff(keys, prepend=-1))
    return keys[starts], np.add.reduceat(counts[order].astype(np.int64), starts)
