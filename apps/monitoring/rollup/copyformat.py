"""Columns as PostgreSQL's binary COPY format, without a Python object for each value.

Source of the format: https://www.postgresql.org/docs/current/sql-copy.html#SQL-COPY-FILE-FORMATS
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from apps.monitoring.ingest.hotstore import Integers
from apps.monitoring.rollup.columns import Columns

COLUMNS: Final = "ts, series_id, resolution, part, count, sum, min, max, data"
HEADER: Final = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER: Final = b"\xff\xff"

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)
_NULL: Final = -1
_NO_DATA: Final[Any] = None
"""To numpy something to compare with, whatever its annotations say."""
_TYPES: Final[Mapping[str, str]] = {
    "ts": ">i8", "series_id": ">i4", "resolution": ">i2", "part": ">i2",
    "count": ">i8", "sum": ">i8", "min": ">i8", "max": ">i8",
}  # fmt: skip


def encode(columns: Columns, ids: Integers, moment: datetime, resolution: int, part: int) -> list[bytes]:
    """Each row of a period in the order of ``ids``, the numbers of their series; `HEADER` goes before, `TRAILER` after all.

    The order is that of the table's key: rows are appended to its index, whose pages are left full.
    """
    datas = np.array(columns.datas, dtype=object)
    with_data = np.not_equal(datas, _NO_DATA).astype(bool)
    known: dict[str, int | Integers] = {
        "ts": (moment - _EPOCH) // timedelta(microseconds=1),
        "resolution": resolution,
        "part": part,
    }
    encoded = np.empty(ids.size, dtype=object)
    for summed, ranged, has_data in product((False, True), repeat=3):
        chosen = np.flatnonzero((columns.summed == summed) & (columns.ranged == ranged) & (with_data == has_data))
        if not chosen.size:
            continue
        given: dict[str, int | Integers] = {**known, "series_id": ids[chosen], "count": columns.counts[chosen]}
        if summed:
            given["sum"] = columns.sums[chosen]
        if ranged:
            given |= {"min": columns.minima[chosen], "max": columns.maxima[chosen]}
        rows = _rows(given, chosen.size)
        rows["data size"] = list(map(len, datas[chosen])) if has_data else _NULL
        spelled = rows.view(f"V{rows.dtype.itemsize}").astype(object)
        encoded[chosen] = spelled + datas[chosen] if has_data else spelled
    ordered: list[bytes] = encoded[np.argsort(ids)].tolist()
    return ordered


def _rows(given: Mapping[str, int | Integers], count: int) -> npt.NDArray[np.void]:
    """Rows with the given columns, NULL in the others, and room for the size of the data."""
    layout: list[tuple[str, str]] = [("columns", ">i2")]
    for name, kind in _TYPES.items():
        layout.append((f"{name} size", ">i4"))
        if name in given:
            layout.append((name, kind))
    rows = np.empty(count, dtype=[*layout, ("data size", ">i4")])
    rows["columns"] = len(_TYPES) + 1
    for name, kind in _TYPES.items():
        rows[f"{name} size"] = np.dtype(kind).itemsize if name in given else _NULL
        if name in given:
            rows[name] = given[name]
    return rows
