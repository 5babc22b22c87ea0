"""Columns against cells: the vectorised reading of a batch says what the plain one says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.catalogue import METRICS, Kind
from apps.monitoring.core import histogram, series
from apps.monitoring.core.cell import Cell
from apps.monitoring.core.series import SeriesKey
from apps.monitoring.ingest.hotstore import MAX_INTEGER, SET_CODES, Chunk, Held, Sets
from apps.monitoring.rollup.cells import cells_of
from apps.monitoring.rollup.columns import Spellings, columns_of

FIELDS = [
    *(f"{METRICS[name].code}:n" for name in ("interactions", "interactions_answered")),
    *(f"m\x1f{model}:n" for model in ("gpt-4o", "a:b", "größe")),
    *(f"c\x1fgpt-4o:{part}" for part in "ns"),
    *(f"rt:{part}" for part in ("s", "<", ">", "-32768", "5", "900", "901")),
    *(f"vsize\x1f{{}}:{part}" for part in ("s", "<", ">", "7")),
    "zz:n",  # a metric of another version
    "rt:later",  # a part of another version
]

SUMS = [field for field in FIELDS if not field.rpartition(":")[2].lstrip("-").isdigit()]

# A bucket counts events one by one; only what is added up gets near the end of 64 bits.
fields = st.dictionaries(st.sampled_from(FIELDS), st.integers(0, 2**36)).flatmap(
    lambda found: st.dictionaries(st.sampled_from(SUMS), st.integers(0, MAX_INTEGER), max_size=3).map(lambda more: found | more)
)
members = st.dictionaries(
    st.sampled_from(SET_CODES), st.frozensets(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=30), max_size=2
)
tenants = st.lists(st.tuples(fields, members), max_size=6).map(
    lambda found: [Held(f"tenant {number}", *one) for number, one in enumerate(found)]
)


def chunk(held: Sequence[Held]) -> Chunk:
    """What the hot store would answer."""
    sets = {}
    for code in SET_CODES:
        own = [sorted(one.members.get(code, ()), key=str) for one in held]
        sets[code] = Sets([len(one) for one in own], np.array([member for one in own for member in one], dtype=np.int64))
    return Chunk(
        [one.tenant for one in held],
        [len(one.fields) for one in held],
        [field for one in held for field in one.fields],
        np.array([value for one in held for value in one.fields.values()], dtype=np.int64),
        sets,
    )


def by_columns(held: Sequence[Held], spellings: Spellings) -> dict[tuple[str, SeriesKey], tuple[object, ...]]:
    columns = columns_of(chunk(held), spellings)
    found = {}
    for row, (owner, name) in enumerate(zip(columns.owners.tolist(), columns.names.tolist(), strict=True)):
        tenant = columns.tenants[owner]
        metric, values = series.decode(columns.vocabulary[name])
        low, high = (int(side[row]) if columns.ranged[row] else None for side in (columns.minima, columns.maxima))
        total = int(columns.sums[row]) if columns.summed[row] else None
        found[tenant, SeriesKey(metric.name, values)] = (int(columns.counts[row]), total, low, high, columns.datas[row])
    assert len(found) == len(columns.names)
    return found


def by_cells(held: Sequence[Held]) -> dict[tuple[str, SeriesKey], tuple[object, ...]]:
    return {(one.tenant, key): _row(cell) for one in held for key, cell in cells_of(one).items()}


def _row(cell: Cell) -> tuple[object, ...]:
    return min(cell.count, MAX_INTEGER), cell.sum, cell.min, cell.max, cell.data()


def complete(held: Held) -> bool:
    """Whether every histogram that has one extreme has both, as all that were recorded have."""
    return all((f"{name}:<" in held.fields) == (f"{name}:>" in held.fields) for name in ("rt", "vsize\x1f{}"))


@given(st.lists(tenants.filter(lambda found: all(map(complete, found))), min_size=1, max_size=3))
def test_columns_hold_what_cells_hold(chunks: list[list[Held]]) -> None:
    spellings = Spellings()
    for held in chunks:
        assert by_columns(held, spellings) == by_cells(held)


def test_a_bucket_beyond_thirty_two_bits_is_kept() -> None:
    held = [Held("acme", {"rt:s": 5, "rt:<": 1, "rt:>": 9, "rt:5": 2**40, "rt:6": 3}, {})]
    ((count, *_, data),) = by_columns(held, Spellings()).values()
    assert count == 2**40 + 3
    assert isinstance(data, bytes)
    assert histogram.decode(data) == {5: 2**40, 6: 3}


def test_spellings_are_forgotten_before_they_fill_the_memory(monkeypatch: object) -> None:
    spellings = Spellings()
    many = [Held(f"tenant {number}", {f"m\x1fmodel {number}:n": number}, {}) for number in range(100)]
    for at in range(0, 100, 10):
        assert by_columns(many[at : at + 10], spellings) == by_cells(many[at : at + 10])


def test_every_metric_with_members_is_read() -> None:
    assert {metric.code for metric in METRICS.values() if metric.kind is Kind.DISTINCT} == set(SET_CODES)
