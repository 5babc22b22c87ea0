"""Rows of the snapshots on their way into the table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from django.db import connection

from apps.monitoring.rollup import copyformat

Row = tuple[datetime, int, int | None, int | None, int | None, int, int, int, bytes | None]
"""In the order of `_COLUMNS`."""

_COLUMNS: Final = "ts, count, sum, min, max, series_id, resolution, part, data"


_COPY: Final = "COPY monitoring_metricsnapshot ({}) FROM STDIN (FORMAT BINARY)"


def copy(rows: Iterable[Row]) -> None:
    """Write rows that are not there yet. Raises IntegrityError when one is."""
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(_COPY.format(_COLUMNS)) as into,
    ):
        into.set_types(["timestamptz", "int8", "int8", "int8", "int8", "int4", "int2", "int2", "bytea"])
        for row in rows:
            into.write_row(row)


def copy_encoded(blocks: Iterable[Sequence[bytes]]) -> int:
    """Write rows that are not there yet, as `copyformat.encode` spells them; returns how many. Raises IntegrityError."""
    written = 0
    with (
        connection.wrap_database_errors,
        connection.cursor() as cursor,
        cursor.copy(_COPY.format(copyformat.COLUMNS)) as into,
    ):
        into.write(copyformat.HEADER)
        for rows in blocks:
            into.write(b"".join(rows))
            written += len(rows)
        into.write(copyformat.TRAILER)
    return written
