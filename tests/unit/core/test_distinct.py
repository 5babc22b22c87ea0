from __future__ import annotations

import random
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core import distinct

SEEDS = range(10)

members = st.sets(st.integers(-(2**63), 2**63 - 1), max_size=80)
quick = settings(deadline=None, database=None, max_examples=200)


def hashes(count: int, seed: int) -> list[int]:
    return [distinct.hash_of(f"conversation {seed} {number}") for number in range(count)]


@pytest.mark.parametrize("count", [0, 1, 2, 999, 1_000, distinct.EXACT - 1, distinct.EXACT])
def test_a_count_is_exact_up_to_the_promise(count: int) -> None:
    for seed in SEEDS:
        assert distinct.count(distinct.encode(hashes(count, seed))) == count


@pytest.mark.parametrize("count", [distinct.EXACT + 1, 5_000, 10_000, 33_000, 100_000])
def test_a_count_beyond_it_is_within_two_per_cent(count: int) -> None:
    for seed in SEEDS:
        assert distinct.count(distinct.encode(hashes(count, seed))) == pytest.approx(count, rel=0.02)


def test_a_count_of_a_million_is_within_two_per_cent() -> None:
    for seed in range(3):
        made = np.random.default_rng(seed).integers(0, 2**64, size=1_000_000, dtype=np.uint64)
        assert distinct.count(distinct.encode(made)) == pytest.approx(1_000_000, rel=0.02)


@pytest.mark.parametrize(
    "sizes",
    [(10, 20, 30), (1_000, 2_000, 3_000), (distinct.EXACT, 1, 0), (distinct.EXACT + 1, 5, 9_000), (20_000, 5_000, 6_000)],
)
def test_a_union_has_the_same_bytes_in_any_order_and_grouping(sizes: tuple[int, int, int]) -> None:
    generator = random.Random(7)
    pool = hashes(25_000, 3)
    sets = [generator.sample(pool, size) for size in sizes]
    whole = distinct.encode({member for part in sets for member in part})
    sketches = [distinct.encode(part) for part in sets]
    for a, b, c in permutations(sketches):
        assert distinct.merge([a, b, c]) == whole
        assert distinct.merge([distinct.merge([a, b]), c]) == whole
        assert distinct.merge([a, distinct.merge([b, c])]) == whole


@quick
@given(st.lists(members, max_size=6))
def test_a_union_of_small_sets_is_the_set_of_them_all(sets: list[set[int]]) -> None:
    union = distinct.merge(distinct.encode(one) for one in sets)
    assert union == distinct.encode(set().union(*sets))
    assert distinct.count(union) == len(set().union(*sets))


@quick
@given(members)
def test_a_union_with_itself_changes_nothing(one: set[int]) -> None:
    sketch = distinct.encode(one)
    assert distinct.merge([sketch, sketch]) == sketch


def test_the_counts_of_many_groups_are_those_of_each_union() -> None:
    generator = random.Random(11)
    pool = hashes(12_000, 5)
    groups: list[int] = []
    sketches: list[bytes] = []
    # Small ones, ones that are exact alone and too many together, dense ones, and a group with nothing.
    for group, sizes in enumerate([(0, 5), (3_000, 3_000), (9_000, 10), (distinct.EXACT,), (), (6_000, 7_000), (4_000, 200)]):
        for size in sizes:
            groups.append(group)
            sketches.append(distinct.encode(generator.sample(pool, size)))
    order = list(range(len(groups)))
    generator.shuffle(order)
    owners, blobs = np.array([groups[i] for i in order], dtype=np.int64), [sketches[i] for i in order]
    wanted = [distinct.count(distinct.merge(s for g, s in zip(groups, sketches, strict=True) if g == n)) for n in range(7)]
    assert distinct.counts_by_group(owners, blobs, 7).tolist() == wanted


def test_no_groups_have_no_counts() -> None:
    assert distinct.counts_by_group(np.array([], dtype=np.int64), [], 3).tolist() == [0, 0, 0]


def test_a_hash_is_the_same_in_every_process_and_fits_a_signed_integer() -> None:
    assert distinct.hash_of("conversation-1") == -6568425021530482075
    assert all(-(2**63) <= made < 2**63 for made in hashes(1_000, 1))


def test_a_text_that_is_no_unicode_has_a_hash() -> None:
    assert isinstance(distinct.hash_of("\ud800"), int)
