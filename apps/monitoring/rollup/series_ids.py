"""The numbers under which the snapshots know series: looked up for a hundred thousand rows at once, made for new ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from apps.monitoring.core import series
from apps.monitoring.ingest.hotstore import Integers
from apps.monitoring.rollup.columns import Columns

_MAX_REMEMBERED: Final = 2_000_000
_NAME_BITS: Final = 32

Identity = tuple[str, str, str]
"""Tenant, metric, labels as canonical JSON."""


class SeriesIds:
    """Remembers what it has looked up, 16 bytes a series."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget everything, as after another database is used."""
        self._vocabulary: list[str] = []
        self._tenants: dict[str, int] = {}
        self._keys: Integers = np.empty(0, dtype=np.int64)
        """Of a tenant and a name together, ascending; `_ids` are the numbers of their series."""
        self._ids: Integers = np.empty(0, dtype=np.int64)

    def of(self, columns: Columns, aside: BaseDatabaseWrapper) -> Integers:
        """The number of each row's series; series that are not there yet are made.

        ``aside`` is a connection beside the one that is in the middle of a batch: that must not keep another shard waiting
        which has the same new series of all tenants together, nor take back a number that is remembered here.
        """
        if columns.vocabulary is not self._vocabulary or self._keys.size > _MAX_REMEMBERED:
            self.forget()
            self._vocabulary = columns.vocabulary
        wanted = self._numbered(columns.tenants)[columns.owners] << _NAME_BITS | columns.names
        found, known = self._look_up(wanted)
        if not known.all():
            missing, first = np.unique(wanted[~known], return_index=True)
            rows = np.flatnonzero(~known)[first]
            owners, names = columns.owners[rows].tolist(), columns.names[rows].tolist()
            identities = [
                (columns.tenants[owner], *_identity(columns.vocabulary[name]))
                for owner, name in zip(owners, names, strict=True)
            ]
            self._remember(missing, np.array(_made(aside, identities), dtype=np.int64))
            found, _ = self._look_up(wanted)
        return found

    def _numbered(self, tenants: Sequence[str]) -> Integers:
        known = self._tenants
        return np.array([known.setdefault(tenant, len(known)) for tenant in tenants], dtype=np.int64)

    def _look_up(self, wanted: Integers) -> tuple[Integers, np.typing.NDArray[np.bool_]]:
        if not self._keys.size:
            return np.zeros(wanted.size, dtype=np.int64), np.zeros(wanted.size, dtype=bool)
        places = np.minimum(np.searchsorted(self._keys, wanted), self._keys.size - 1)
        return self._ids[places], self._keys[places] == wanted

    def _remember(self, keys: Integers, ids: Integers) -> None:
        places = np.searchsorted(self._keys, keys)
        self._keys, self._ids = np.insert(self._keys, places, keys), np.insert(self._ids, places, ids)


def _made(aside: BaseDatabaseWrapper, identities: Sequence[Identity]) -> list[int]:
    """The numbers of series, those that are new included."""
    with aside.cursor() as cursor:
        found = _find(cursor, identities)
        missing = sorted(set(identities) - found.keys())
        if missing:
            cursor.execute(
                "INSERT INTO monitoring_series (tenant, metric, labels) "
                "SELECT * FROM unnest(%s::text[], %s::text[], %s::text[]) ON CONFLICT DO NOTHING",
                _as_columns(missing),
            )
            found |= _find(cursor, missing)
    return list(map(found.__getitem__, identities))


def _find(cursor: CursorWrapper, identities: Collection[Identity]) -> dict[Identity, int]:
    """The numbers of the series that are there. The limit has each looked up in the index, whatever is known of the table."""
    cursor.execute(
        "SELECT w.tenant, w.metric, w.labels, s.id "
        "FROM unnest(%s::text[], %s::text[], %s::text[]) AS w(tenant, metric, labels) "
        "CROSS JOIN LATERAL (SELECT id FROM monitoring_series s "
        "WHERE (s.tenant, s.metric, s.labels) = (w.tenant, w.metric, w.labels) LIMIT 1) s",
        _as_columns(identities),
    )
    return {(tenant, metric, labels): number for tenant, metric, labels, number in cursor.fetchall()}


def _as_columns(identities: Collection[Identity]) -> list[list[str]]:
    return [list(column) for column in zip(*identities, strict=True)]


def _identity(name: str) -> tuple[str, str]:
    """Metric and labels of a series as the hot store spells it."""
    metric, values = series.decode(name)
    return metric.name, series.labels_json(metric, values)
