"""The numbers under which the snapshots know series: leased for a hundred thousand rows at once, made for new ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper

from apps.monitoring.core import series
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import Integers
from apps.monitoring.models.snapshot import LEASE_DAYS
from apps.monitoring.rollup.columns import Columns

_MAX_REMEMBERED: Final = 2_000_000
_NAME_BITS: Final = 32

# The limit has each looked up in the index, whatever is known of the table.
_FIND: Final = """
SELECT w.tenant, w.metric, w.labels, s.id, s.leased_until - date 'epoch'
FROM unnest(%s::text[], %s::text[], %s::text[]) AS w(tenant, metric, labels)
CROSS JOIN LATERAL (SELECT id, leased_until FROM monitoring_series s
  WHERE (s.tenant, s.metric, s.labels) = (w.tenant, w.metric, w.labels) LIMIT 1) s
"""
# In the order of the numbers, so that two who renew the series of all tenants together do not wait for each other in a ring.
_RENEW: Final = """
WITH own AS (SELECT id FROM monitoring_series WHERE id = ANY(%s) ORDER BY id FOR NO KEY UPDATE)
UPDATE monitoring_series s SET leased_until = greatest(s.leased_until, date 'epoch' + %s + floor(random() * %s)::integer)
FROM own WHERE s.id = own.id RETURNING s.id, s.leased_until - date 'epoch'
"""
_INSERT: Final = """
INSERT INTO monitoring_series (tenant, metric, labels, leased_until)
SELECT w.*, date 'epoch' + %s + floor(random() * %s)::integer
FROM unnest(%s::text[], %s::text[], %s::text[]) AS w ON CONFLICT DO NOTHING
"""

Identity = tuple[str, str, str]
"""Tenant, metric, labels as canonical JSON."""
Lease = tuple[int, int]
"""The number of a series, and the last day that it is leased for."""


class SeriesIds:
    """Remembers what it has looked up, 24 bytes a series.

    A number is good for rows of the days that it is leased for. Series are purged only when the floors have passed the end
    of their lease, and nobody writes rows from below the floors: so what is remembered needs no look at the database,
    however old it is, and whoever needs a later day renews the lease, or learns that the series is gone and makes it anew.
    """

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget everything, as after another database is used."""
        self._vocabulary: list[str] = []
        self._tenants: dict[str, int] = {}
        self._keys: Integers = np.empty(0, dtype=np.int64)
        """Of a tenant and a name together, ascending; `_ids` are the numbers of their series."""
        self._ids: Integers = np.empty(0, dtype=np.int64)
        self._leased: Integers = np.empty(0, dtype=np.int64)
        """Days since the epoch, the last that each number is known to be leased for."""

    def of(self, columns: Columns, minute: int, aside: BaseDatabaseWrapper) -> Integers:
        """The number of each row's series, leased for the day of the minute; series that are not there are made.

        Call it in the transaction that writes the rows, once that holds the floors. ``aside`` is a connection beside it: the
        transaction is in the middle of a batch, which must not keep another shard waiting that has the same new series of
        all tenants together, nor take back a number that is remembered here.
        """
        if columns.vocabulary is not self._vocabulary or self._keys.size > _MAX_REMEMBERED:
            self.forget()
            self._vocabulary = columns.vocabulary
        day = minute // Resolution.DAY
        wanted = self._numbered(columns.tenants)[columns.owners] << _NAME_BITS | columns.names
        found, known = self._look_up(wanted, day)
        if not known.all():
            missing, first = np.unique(wanted[~known], return_index=True)
            rows = np.flatnonzero(~known)[first]
            owners, names = columns.owners[rows].tolist(), columns.names[rows].tolist()
            identities = [
                (columns.tenants[owner], *_identity(columns.vocabulary[name]))
                for owner, name in zip(owners, names, strict=True)
            ]
            self._remember(missing, np.array(_leased(aside, identities, day), dtype=np.int64))
            found, _ = self._look_up(wanted, day)
        return found

    def _numbered(self, tenants: Sequence[str]) -> Integers:
        known = self._tenants
        return np.array([known.setdefault(tenant, len(known)) for tenant in tenants], dtype=np.int64)

    def _look_up(self, wanted: Integers, day: int) -> tuple[Integers, np.typing.NDArray[np.bool_]]:
        """The number of each, and whether it is known and leased for the day."""
        if not self._keys.size:
            return np.zeros(wanted.size, dtype=np.int64), np.zeros(wanted.size, dtype=bool)
        places = np.minimum(np.searchsorted(self._keys, wanted), self._keys.size - 1)
        return self._ids[places], (self._keys[places] == wanted) & (self._leased[places] >= day)

    def _remember(self, keys: Integers, leases: Integers) -> None:
        """Take in the number and the end of the lease of each key, in place of what was known of it."""
        ids, leased = leases.T
        places = np.searchsorted(self._keys, keys)
        new = np.append(self._keys, -1)[places] != keys  # no key is negative
        self._ids[places[~new]], self._leased[places[~new]] = ids[~new], leased[~new]
        self._keys = np.insert(self._keys, places[new], keys[new])
        self._ids = np.insert(self._ids, places[new], ids[new])
        self._leased = np.insert(self._leased, places[new], leased[new])


def _leased(aside: BaseDatabaseWrapper, identities: Sequence[Identity], day: int) -> list[Lease]:
    """Numbers of series, those that are new included, each with a lease that reaches the day."""
    with aside.cursor() as cursor:
        found = _find(cursor, identities, day)
        missing = sorted(set(identities) - found.keys())
        if missing:
            cursor.execute(_INSERT, [*_end(day), *_as_columns(missing)])
            found |= _find(cursor, missing, day)
    return list(map(found.__getitem__, identities))


def _find(cursor: CursorWrapper, identities: Collection[Identity], day: int) -> dict[Identity, Lease]:
    """The series that are there and stay, their leases renewed where they do not reach the day."""
    cursor.execute(_FIND, _as_columns(identities))
    found = {(tenant, metric, labels): (number, until) for tenant, metric, labels, number, until in cursor.fetchall()}
    ended = {number: identity for identity, (number, until) in found.items() if until < day}
    if ended:
        cursor.execute(_RENEW, [list(ended), *_end(day)])
        renewed = dict(cursor.fetchall())
        for number, identity in ended.items():
            if number in renewed:
                found[identity] = number, renewed[number]
            else:
                del found[identity]  # it was purged in between
    return found


def _end(day: int) -> tuple[int, int]:
    """The first day that a lease which is to reach a day may end on, and how many there are to choose from.

    At random, so that series that began together do not all renew their leases in the first minute of one day.
    """
    return day + LEASE_DAYS, LEASE_DAYS + 1


def _as_columns(identities: Collection[Identity]) -> list[list[str]]:
    return [list(column) for column in zip(*identities, strict=True)]


def _identity(name: str) -> tuple[str, str]:
    """Metric and labels of a series as the hot store spells it."""
    metric, values = series.decode(name)
    return metric.name, series.labels_json(metric, values)
