"""What a batch holds, turned from the hot store's fields into columns of snapshot rows, for many tenants at once."""

from __future__ import annotations

import logging
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
_PART_BITS: Final = 18
_SERIES_BITS: Final = 26
"""A series and a part of it are one number, and so are those of a tenant: there is one array to sort, not three."""
_UNKNOWN: Final = -1
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
        self._places: dict[str, int] = {}

    def lookup(self, fields: list[str]) -> Integers:
        """Number of the series in `names`, and its part in the lowest `_PART_BITS`; -1 for a metric not known here.

        Numbers hold as long as `names` is the same list: one that has grown too long is replaced.
        """
        try:
            return self._known(fields)
        except KeyError:
            if len(self._places) > _MAX_REMEMBERED:
                self._forget()
            for field in fields:
                if field not in self._places:
                    self._places[field] = self._decode(field)
            return self._known(fields)

    def _known(self, fields: list[str]) -> Integers:
        return np.fromiter(map(self._places.__getitem__, fields), dtype=np.int64, count=len(fields))

    def _decode(self, field: str) -> int:
        name, _, part = field.rpartition(":")
        try:
            metric, _ = series.decode(name)
            is_bucket = part not in _PARTS and metric.kind is Kind.HISTOGRAM
            place = _BUCKETS + int(part) - histogram.ZERO if is_bucket else _PARTS[part]
        except (KeyError, ValueError):
            # Written by a newer version beside this one: what it means is not known here.
            _log.warning("a field of an unknown metric is left out: %r", field)
            return _UNKNOWN
        return self.number(name) << _PART_BITS | place

    def number(self, name: str) -> int:
        """The number of a series."""
        number = self._numbers.get(name)
        if number is None:
            number = self._numbers[name] = len(self.names)
            self.names.append(name)
        return number


def columns_of(chunk: Chunk, spellings: Spellings) -> Columns:
    """The rows of a chunk, in the order of its tenants."""
    places, values = spellings.lookup(chunk.fields), chunk.values
    owners = np.repeat(np.arange(len(chunk.tenants), dtype=np.int64), chunk.lengths)
    if (places < 0).any():
        known = places >= 0
        places, owners, values = places[known], owners[known], values[known]
    places |= owners << (_SERIES_BITS + _PART_BITS)
    order = np.argsort(places)
    places, values = places[order], values[order]
    parts, whose = places & ((1 << _PART_BITS) - 1), places >> _PART_BITS
    first = np.ones(whose.size, dtype=bool)
    first[1:] = whose[1:] != whose[:-1]
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
    whose = whose[first]
    numbers = whose & ((1 << _SERIES_BITS) - 1)
    columns = Columns(
        chunk.tenants, whose >> _SERIES_BITS, spellings.names, numbers, counts, sums, summed, minima, maxima, ranged, datas
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
    owners, names, counts = [columns.owners], [columns.names], [columns.counts]
    datas = columns.datas
    for code, sets in chunk.sets.items():
        lengths = np.array(sets.lengths, dtype=np.int64)
        own = np.flatnonzero(lengths)
        sketches = list(filter(None, distinct.encodes(sets.members, sets.lengths)))
        owners.append(own)
        names.append(np.full(own.size, spellings.number(code)))
        counts.append(_sizes(lengths[own], sketches))
        datas = [*datas, *sketches]
    none = np.zeros(len(datas) - len(columns.datas), dtype=np.int64)
    nothing = none.astype(bool)
    return Columns(
        columns.tenants,
        np.concatenate(owners),
        columns.vocabulary,
        np.concatenate(names),
        np.concatenate(counts),
        np.concatenate([columns.sums, none]),
        np.concatenate([columns.summed, nothing]),
        np.concatenate([columns.minima, none]),
        np.concatenate([columns.maxima, none]),
        np.concatenate([columns.ranged, nothing]),
        datas,
    )


def _sizes(lengths: Integers, sketches: Sequence[bytes]) -> Integers:
    """How many each sketch says they are, which is how many there are as long as it keeps each of them."""
    counts = lengths.copy()
    for place in np.flatnonzero(lengths > distinct.EXACT).tolist():
        counts[place] = distinct.count(sketches[place])
    return counts
