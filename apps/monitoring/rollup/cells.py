"""From what the hot store holds to cells: the reverse of what slots spell."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from apps.monitoring.catalogue import BY_CODE, Kind
from apps.monitoring.core import distinct, series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.ingest.hotstore import Held
from apps.monitoring.ingest.slot import COUNT, MAX, MIN, SUM

_log = logging.getLogger(__name__)

Cells = dict[SeriesKey, Cell]

_FIELDS: Final = 50_000
"""Whose meaning is remembered: the same few thousand are read again and again."""
_PARTS: Final = {part: part for part in (COUNT, SUM, MIN, MAX)}


def cells_of(held: Held) -> Cells:
    """The cells of one tenant in one batch."""
    cells: Cells = {}
    for field, value in held.fields.items():
        try:
            key, part = _meant(field)
        except (KeyError, ValueError):
            # Written by a newer version beside this one: what it means is not known here.
            _log.warning("a field of an unknown metric is left out: %r", field)
            continue
        _put(cells.setdefault(key, Cell()), part, value)
    for code, members in held.members.items():
        sketch = distinct.encode(members)
        cells[SeriesKey(BY_CODE[code].name)] = Cell(count=distinct.count(sketch), sketches=[sketch])
    return cells


@lru_cache(maxsize=_FIELDS)
def _meant(field: str) -> tuple[SeriesKey, str | int]:
    """The series, and the named part or the bucket, that a field spells. Raises KeyError or ValueError."""
    spelled, _, part = field.rpartition(":")
    metric, values = series.decode(spelled)
    histogram = metric.kind is Kind.HISTOGRAM and part not in _PARTS
    return SeriesKey(metric.name, values), int(part) if histogram else _PARTS[part]


def _put(cell: Cell, part: str | int, value: int) -> None:
    """A named part, or the bucket of this number."""
    if isinstance(part, int):
        cell.buckets[part] = value
        cell.count += value
    elif part == COUNT:
        cell.count += value
    elif part == SUM:
        cell.sum = value
    elif part == MIN:
        cell.min = value
    else:
        cell.max = value


def merge(into: Cells, other: Mapping[SeriesKey, Cell]) -> None:
    """Add the cells of another stretch."""
    for key, cell in other.items():
        into.setdefault(key, Cell()).merge(cell)
