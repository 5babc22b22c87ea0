"""Rows with bytes as bytes: the cursors of Django ask for hexadecimal text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from django.db import connection


def fetch(query: str, given: Sequence[Any] | Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """All rows of a query. Raises the errors of Django, which those who ask know, not those of the library.

    Who wraps the statements of Django (`connection.execute_wrapper`) wraps this one, too.
    """
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:

        def run(sql: str, params: Any, *_: Any) -> list[tuple[Any, ...]]:
            return cursor.execute(sql, params, binary=True).fetchall()

        for wrapper in reversed(connection.execute_wrappers):
            run = partial(wrapper, run)
        return run(query, given, False, {"connection": connection, "cursor": cursor})
