"""What a batch holds, turned from the hot store's fields into columns of snapshot rows, for many tenants at once."""

from __future__ import annotations

import logging
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from apps.monitoring.catalogue import Kind
from apps.monitoring.core import distinct, histogram, series
from apps.monitoring.ingest.hotstore import MAX_INTEGER, Chunk, Integers
from apps.monitoring.ingest.slot import COUNT, MAX, MIN, SUM

_log = logging.getLogger(__name__)

Flags = npt.NDArray[np.bool_]

_COUNT, _SUM, _MIN, _MAX, _BUCKETS = range(5)
"""Parts of a series in the order they sort; a bucket's is `_BUCKETS` and its number."""
_PARTS: Final = {COUNT: _COUNT, SUM: _SUM, MIN: _MIN, MAX: _MAX}
_UNKNOWN: Final = (-1, 0)
_MAX_REMEMBERED: Final = 1_000_000
_SAFE: Final = 2**62


@dataclass(frozen=True, slots=True)
class Columns:
    """One entry a row. Where `summed` or `ranged` is false the numbers mean nothing and are stored as NULL."""

    tenants: Sequence[str]
    owners: Integers
    """The row's tenant, by its place in `tenants`."""
    vocabulary: list[str]
    """Series as the hot store spells them (`core.series.encode`)."""
    names: Integers
    """The row's series, by its place in `vocabulary`."""
    counts: Integers
    sums: Integers
    summed: Flags
    minima: Integers
    maxima: Integers
    ranged: Flags
    datas: list[bytes | None]


class Spellings:
    """Which series and part each field means; the same few thousand come in every minute."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._codes: dict[str, int] = {}
        self._series, self._parts = array("q"), array("q")

    def lookup(self, fields: list[str]) -> tuple[Integers, Integers]:
        """Number of the series in `names` and part of each field; -1 for a metric that this version does not know.

        Numbers hold as long as `names` is the same list: one that has grown too long is replaced.
        """
        try:
            codes = list(map(self._codes.__getitem__, fields))
        except KeyError:
            if len(self._codes) > _MAX_REMEMBERED:
                self._forget()
            for field in fields:
                if field not in self._codes:
                    self._codes[field] = len(self._series)
                    number, part = self._decode(field)
                    self._series.append(number)
                    self._parts.append(part)
            codes = list(map(self._codes.__getitem__, fields))
        return np.frombuffer(self._series, dtype=np.int64)[codes], np.frombuffer(self._parts, dtype=np.int64)[codes]

    def _decode(self, field: str) -> tuple[int, int]:
        name, _, part = field.rpartition(":")
        try:
            metric, _ = series.decode(name)
            is_bucket = part not in _PARTS and metric.kind is Kind.HISTOGRAM
            place = _BUCKETS + int(part) - histogram.ZERO if is_bucket else _PARTS[part]
        except (KeyError, ValueError):
            # Written by a newer version beside this one: what it means is not known here.
            _log.warning("a field of an unknown metric is left out: %r", field)
            return _UNKNOWN
        return self.number(name), place

    def number(self, name: str) -> int:
        """The number of a series."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number


def columns_of(chunk: Chunk, spellings: Spellings) -> Columns:
    """The rows of a chunk, in the order of its tenants."""
    numbers, parts = spellings.lookup(chunk.fields)
    owners = np.repeat(np.arange(len(chunk.tenants), dtype=np.int64), chunk.lengths)
    values = chunk.values
    if (numbers < 0).any():
        known = numbers >= 0
        numbers, parts, owners, values = numbers[known], parts[known], owners[known], values[known]
    order = np.lexsort((parts, numbers, owners))
    numbers, parts, owners, values = numbers[order], parts[order], owners[order], values[order]
    first = np.ones(numbers.size, dtype=bool)
    first[1:] = (numbers[1:] != numbers[:-1]) | (owners[1:] != owners[:-1])
    row = np.cumsum(first) - 1
    rows = int(row[-1]) + 1 if row.size else 0
    sums, summed = _scattered(row, values, parts == _SUM, rows)
    minima, ranged = _scattered(row, values, parts == _MIN, rows)
    maxima, _ = _scattered(row, values, parts == _MAX, rows)
    counts, _ = _scattered(row, values, parts == _COUNT, rows)
    datas: list[bytes | None] = [None] * rows
    buckets = parts >= _BUCKETS
    if buckets.any():
        _histograms(row[buckets], parts[buckets] - _BUCKETS + histogram.ZERO, values[buckets], counts, datas)
    columns = Columns(
        chunk.tenants, owners[first], spellings.names, numbers[first], counts, sums, summed, minima, maxima, ranged, datas
    )
    return _with_sketches(columns, chunk, spellings)


def _scattered(row: Integers, values: Integers, chosen: Flags, rows: int) -> tuple[Integers, Flags]:
    """The chosen values by row, and which rows have one."""
    column, known = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool)
    column[row[chosen]] = values[chosen]
    known[row[chosen]] = True
    return column, known


def _histograms(row: Integers, buckets: Integers, values: Integers, counts: Integers, datas: list[bytes | None]) -> None:
    """Fill in the counts and the encoded buckets of the rows that have any. Everything comes sorted by row and bucket."""
    starts = np.flatnonzero(np.diff(row, prepend=-1))
    own = row[starts].tolist()
    ends = [*starts[1:].tolist(), row.size]
    if int(values.max()) < _SAFE // row.size:
        counts[own] += np.add.reduceat(values, starts)
    else:
        exact = np.add.reduceat(values.astype(object), starts)
        counts[own] = [min(MAX_INTEGER, int(counts[at]) + total) for at, total in zip(own, exact, strict=True)]
    encoded = histogram.encodes(buckets, values, zip(starts.tolist(), ends, strict=True))
    for at, data in zip(own, encoded, strict=True):
        datas[at] = data


def _with_sketches(columns: Columns, chunk: Chunk, spellings: Spellings) -> Columns:
    """The columns and one row for each set of a tenant."""
    found = [
        (owner, number, sketch)
        for number, sets in ((spellings.number(code), sets) for code, sets in chunk.sets.items())
        for owner, sketch in enumerate(distinct.encodes(sets.members, sets.lengths))
        if sketch is not None
    ]
    if not found:
        return columns
    owners, names, sketches = zip(*found, strict=True)
    none, nothing = np.zeros(len(found), dtype=np.int64), np.zeros(len(found), dtype=bool)
    return Columns(
        columns.tenants,
        np.concatenate([columns.owners, np.array(owners, dtype=np.int64)]),
        columns.vocabulary,
        np.concatenate([columns.names, np.array(names, dtype=np.int64)]),
        np.concatenate([columns.counts, np.array(list(map(distinct.count, sketches)), dtype=np.int64)]),
        np.concatenate([columns.sums, none]),
        np.concatenate([columns.summed, nothing]),
        np.concatenate([columns.minima, none]),
        np.concatenate([columns.maxima, none]),
        np.concatenate([columns.ranged, nothing]),
        [*columns.datas, *sketches],
    )
