"""Rows of the snapshots on their way into the table."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.db import connection

Row = tuple[datetime, int, int | None, int | None, int | None, int, int, int, bytes | None]
"""In the order of `_COLUMNS`."""

_COLUMNS: Final = "ts, count, sum, min, max, series_id, resolution, part, data"


def copy(rows: Iterable[Row]) -> None:
    """Write rows that are not there yet."""
    with (
        connection.cursor() as cursor,
        cursor.copy(f"COPY monitoring_metricsnapshot ({_COLUMNS}) FROM STDIN (FORMAT BINARY)") as into,
    ):
        into.set_types(["timestamptz", "int8", "int8", "int8", "int8", "int8", "int2", "int2", "bytea"])
        for row in rows:
            into.write_row(row)
