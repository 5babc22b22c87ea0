"""One metric in one minute, of all the tenants that have it: read once, and looked at by every rule and minute after it."""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import orjson

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.frame import Integers
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query import remembered
from apps.monitoring.query.binary import fetch
from apps.monitoring.query.choice import Choice
from apps.monitoring.query.minutes import MISSING
from apps.monitoring.rollup import batches

_NUMBERS: Final = ("count", "sum", "min", "max")
_ARRAY_HEADER: Final = 20
"""Bytes before the elements of an array as Postgres sends it; each element comes after its length."""
_ELEMENT: Final = np.dtype([("length", ">i4"), ("value", ">i8")])

# All aggregates of a group see its rows in the same order.
_QUERY: Final = (
    "SELECT m.ts, s.metric, json_agg(s.tenant)::text, string_agg(m.data, ''), "  # noqa: S608 - of literals
    "array_send(array_agg(coalesce(octet_length(m.data), 0)::int8)), "
    + ", ".join(f"array_send(array_agg(coalesce(m.{name}, {MISSING})))" for name in _NUMBERS)
    + " FROM monitoring_series s JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
    f"WHERE {{condition}} AND m.resolution = {Resolution.MINUTE:d} AND m.ts = ANY(%(moments)s) GROUP BY m.ts, s.metric"
)

Key = tuple[int, str]
"""Minute and metric."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Rows of stored series, in any order; a tenant may have several. ``tenants`` are numbers, see `Roll`.

    `MISSING` is what a row does not have; None what no row has. ``data`` are the bytes of the rows, one after the other.
    """

    tenants: Integers
    counts: Integers
    sums: Integers | None
    minima: Integers | None
    maxima: Integers | None
    lengths: Integers | None
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that it takes."""
        kept = (self.tenants, self.counts, self.sums, self.minima, self.maxima, self.lengths)
        return len(self.data) + sum(array.nbytes for array in kept if array is not None)


_NOTHING: Final = Slice(np.zeros(0, np.int64), np.zeros(0, np.int64), None, None, None, None, b"")


class Roll:
    """The numbers of tenants. What is remembered names each of them many times, and is put together by number."""

    MOST: Final = 200_000
    """So many are kept; then the numbers begin anew, and what was remembered under the old ones is never asked for again."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}
        self._lock = threading.Lock()

    def numbers(self, tenants: Sequence[str]) -> Integers:
        """The number of each tenant: its place in ``names``."""
        with self._lock:
            new = [tenant for tenant in dict.fromkeys(tenants) if tenant not in self._numbers]
            self._numbers |= zip(new, range(len(self.names), len(self.names) + len(new)), strict=True)
            self.names += new
        return np.fromiter(map(self._numbers.__getitem__, tenants), dtype=np.int64, count=len(tenants))


_roll = Roll()


def roll() -> Roll:
    """The numbers that are in use. Who has read slices under them keeps them for as long as it looks at the slices."""
    global _roll  # noqa: PLW0603 - one a process
    if len(_roll.names) > Roll.MOST:
        _roll = Roll()
    return _roll


def _begin_anew() -> None:
    """In a forked child: the lock may be taken by a thread that the child does not have."""
    global _roll  # noqa: PLW0603 - one a process
    _roll = Roll()


os.register_at_fork(after_in_child=_begin_anew)


def read(metrics: Collection[str], choice: Choice, start: int, end: int, tenants: Roll) -> dict[str, list[Slice]]:
    """The slices of the minutes ``[start, end)`` by metric, all of them made of the same batches.

    A minute is remembered by the batches that it came with. They are looked up first: what comes in between is
    remembered under what will not be asked for again.
    """
    wanted = [(minute, metric) for minute in range(start, end) for metric in metrics]
    while True:
        batches_of = _batches(start, end)
        found = remembered.each(
            [("slice", tenants, choice, *key, batches_of.get(key[0]) or object()) for key in wanted],
            lambda missing: _read([wanted[place] for place in missing], choice, tenants),
            lambda one: one.size,
        )
        if _batches(start, end) == batches_of:
            break  # else some may be of before and others of afterwards
    by_metric: dict[str, list[Slice]] = {metric: [] for metric in metrics}
    for (_, metric), one in zip(wanted, found, strict=True):
        by_metric[metric].append(one)
    return by_metric


def _batches(start: int, end: int) -> Mapping[int, Hashable]:
    """What each minute was made of; nobody knows it of one whose proofs may be gone, and of one without any batch."""
    return {} if batches.without_proof(start) else batches.versions(start, end)


def _read(wanted: Sequence[Key], choice: Choice, tenants: Roll) -> list[Slice]:
    """The slices as they are stored: minutes of which the same metrics are wanted are read together."""
    metrics: dict[int, list[str]] = defaultdict(list)
    for minute, metric in wanted:
        metrics[minute].append(metric)
    minutes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for minute, own in metrics.items():
        minutes[tuple(own)].append(minute)
    found: dict[Key, Slice] = {}
    for together, own_minutes in minutes.items():
        given = {**choice.given(together), "moments": [to_datetime(minute) for minute in own_minutes]}
        for moment, metric, names, *columns in fetch(_QUERY.format(condition=choice.condition), given):
            found[to_minute(moment), metric] = _slice(tenants.numbers(orjson.loads(names)), *columns)
    return [found.get(key, _NOTHING) for key in wanted]


def _slice(tenants: Integers, data: bytes | None, lengths: bytes, *numbers: bytes) -> Slice:
    counts, *others = (_elements(array) for array in numbers)
    sums, minima, maxima = (None if (array == MISSING).all() else array for array in others)
    return Slice(tenants, counts, sums, minima, maxima, _elements(lengths) if data else None, data or b"")


def _elements(array: bytes) -> Integers:
    """The elements of an array as Postgres sends it, none of which is null."""
    return np.frombuffer(array, dtype=_ELEMENT, offset=_ARRAY_HEADER)["value"].astype(np.int64)
