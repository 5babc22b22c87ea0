"""Windows that slide minute by minute, of many tenants at once.

Arrays have one row a tenant. What goes in has ``window - 1`` columns more than what comes out: the minutes before the
first window's end. Entries are laid flat: the row and the column that each belongs to, columns counted from the
first minute that goes in.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from apps.monitoring.core import histogram
from apps.monitoring.core.frame import Floats, Integers

_BLOCK: Final = 32
"""Buckets that are looked through together."""


def sums(values: Integers, window: int) -> Integers:
    """The sum of each window."""
    return sums_since(values, np.arange(values.shape[1] - window + 1), window)


def sums_since(values: Integers, firsts: Integers, window: int) -> Integers:
    """The sum of what lies between a column, one for each that comes out, and the end of the window."""
    running = np.zeros((values.shape[0], values.shape[1] + 1), dtype=np.int64)
    np.cumsum(values, axis=1, out=running[:, 1:])
    return running[:, window:] - running[:, firsts]


def minima(values: Floats, window: int) -> Floats:
    """The smallest of each window; infinity is none (van Herk 1992: two looks at each value, however long the window)."""
    rows, length = values.shape
    blocks = -(-length // window)
    padded = np.full((rows, blocks * window), np.inf)
    padded[:, :length] = values
    blocked = padded.reshape(rows, blocks, window)
    ahead = np.minimum.accumulate(blocked, axis=2).reshape(padded.shape)
    back = np.minimum.accumulate(blocked[:, :, ::-1], axis=2)[:, :, ::-1].reshape(padded.shape)
    return np.minimum(back[:, : length - window + 1], ahead[:, window - 1 : length])


def maxima(values: Floats, window: int) -> Floats:
    """The largest of each window; minus infinity is none."""
    return -minima(-values, window)


def distinct(
    rows: Integers, columns: Integers, members: npt.NDArray[np.uint64], shape: tuple[int, int], window: int
) -> Integers:
    """How many different members each window has; ``shape`` is that of what comes out.

    A member counts from each minute it is seen in until the window has passed, or until it is seen again.
    """
    order = np.lexsort((columns, members, rows))
    rows, columns, members = rows[order], columns[order], members[order]
    ends = columns + window
    again = (rows[1:] == rows[:-1]) & (members[1:] == members[:-1])
    ends[:-1] = np.where(again, np.minimum(ends[:-1], columns[1:]), ends[:-1])
    # Columns of what comes out: the window that ends with the first minute that goes in would be -(window - 1).
    before = window - 1
    begins, ends = np.clip(columns - before, 0, shape[1]), np.clip(ends - before, 0, shape[1])
    changes = np.zeros((shape[0], shape[1] + 1), dtype=np.int64)
    np.add.at(changes, (rows, begins), 1)
    np.add.at(changes, (rows, ends), -1)
    return np.cumsum(changes[:, :-1], axis=1)


class Entries:
    """The entries of many histograms: the row, the column and the bucket of each, and its count."""

    def __init__(self, rows: Integers, columns: Integers, buckets: Integers, counts: Integers) -> None:
        order = np.argsort(columns, kind="stable")
        self.rows, self.columns = rows[order], columns[order]
        self.buckets, self.counts = buckets[order], counts[order]


def quantiles(entries: Entries, q: float, extremes: tuple[Floats, Floats], window: int) -> Floats:
    """`histogram.quantile` of each window; NaN where it has no samples. ``extremes`` are the windows' minima and maxima.

    The counts of one window are kept, in buckets and in blocks of buckets; a step adds a minute and takes one away.
    """
    rows, length = extremes[0].shape
    found = np.full((length, rows), np.nan)
    if not entries.buckets.size:
        return found.T
    present = entries.buckets[entries.buckets != histogram.ZERO]
    least = int(present.min()) if present.size else 0
    blocks = (int(present.max()) - least + 1) // _BLOCK + 1 if present.size else 1
    # Place 0 is the bucket of the value 0.
    places = np.where(entries.buckets == histogram.ZERO, 0, entries.buckets - least + 1)
    fine = np.zeros(rows * blocks * _BLOCK, dtype=np.int64)
    coarse = np.zeros(rows * blocks, dtype=np.int64)
    fine_at = entries.rows * (blocks * _BLOCK) + places
    coarse_at = entries.rows * blocks + places // _BLOCK
    ends = np.searchsorted(entries.columns, np.arange(length + window)).tolist()
    everybody = np.arange(rows)

    def add(start: int, end: int, counts: Integers) -> None:
        np.add.at(fine, fine_at[start:end], counts[start:end])
        np.add.at(coarse, coarse_at[start:end], counts[start:end])

    taken = -entries.counts
    add(0, ends[window - 1], entries.counts)
    chosen = np.zeros((length, rows))
    last = np.zeros((length, rows), dtype=bool)
    for column in range(length):
        add(ends[column + window - 1], ends[column + window], entries.counts)
        above = np.cumsum(coarse.reshape(rows, blocks), axis=1)
        totals = above[:, -1]
        ranks = np.maximum(1, np.ceil(q * totals)).astype(np.int64)
        block = np.minimum((above < ranks[:, None]).sum(axis=1), blocks - 1)
        own = fine.reshape(rows, blocks, _BLOCK)[everybody, block]
        below = above[everybody, block] - coarse.reshape(rows, blocks)[everybody, block]
        place = (np.cumsum(own, axis=1) + below[:, None] < ranks[:, None]).sum(axis=1) + block * _BLOCK
        chosen[column] = np.where(place == 0, histogram.ZERO, place - 1 + least)
        last[column] = ranks == totals
        found[column, totals > 0] = 0.0
        add(ends[column], ends[column + 1], taken)
    values = histogram.read_back(chosen, last, extremes[0].T, extremes[1].T)
    return np.where(np.isnan(found), np.nan, values).T
