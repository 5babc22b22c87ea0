from __future__ import annotations

import math
import random
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core import distinct, merging

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


@pytest.mark.parametrize(
    "sizes",
    [
        [0],
        [3, 0, 5],
        [distinct.EXACT, distinct.EXACT + 1],
        [2, 9_000, 0, 0, 7, 20_000, 1],
        [distinct.EXACT + 1] * 3,
        [5_000, 4],
    ],
)
def test_many_sets_at_once_have_the_bytes_that_each_has_alone(sizes: list[int]) -> None:
    sets = [hashes(size, seed) for seed, size in enumerate(sizes)]
    laid = np.array([member for one in sets for member in one], dtype=np.int64)
    assert distinct.encodes(laid, sizes) == [distinct.encode(one) if one else None for one in sets]


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


sizes = st.one_of(
    st.integers(0, 1_000),
    st.sampled_from([999, 1_000, 1_001, distinct.EXACT - 1, distinct.EXACT, distinct.EXACT + 1]),
    st.integers(1_000, 40_000),
)


# Two per cent are three and a half standard errors, so the same examples in every run.
@settings(deadline=None, database=None, max_examples=150, derandomize=True)
@given(size=sizes, minutes=st.integers(1, 12), tenants=st.integers(1, 4), often=st.integers(1, 3), seed=st.integers(0, 2**32))
def test_over_any_minutes_and_tenants_in_any_order_of_merging_it_is_the_count_of_those(
    size: int, minutes: int, tenants: int, often: int, seed: int
) -> None:
    """Conversations that go on over minutes and are known to several tenants count once in each range."""
    chance = np.random.default_rng(seed)
    pool = chance.integers(-(2**63), 2**63 - 1, size=size, dtype=np.int64)
    cells = [np.concatenate([pool[chance.integers(0, minutes * tenants, size) == cell] for _ in range(often)])
             for cell in range(minutes * tenants)]  # fmt: skip
    first, last = sorted(chance.integers(0, minutes + 1, 2).tolist())
    chosen = [cell for cell in range(minutes * tenants) if first <= cell // tenants < last and chance.random() < 0.8]
    there = np.unique(np.concatenate([np.empty(0, dtype=np.int64), *(cells[cell] for cell in chosen)])).size

    found = merged_somehow([distinct.encode(cells[cell].tolist()) for cell in chosen], random.Random(seed))
    assert found == distinct.merge(distinct.encode(cells[cell].tolist()) for cell in chosen)
    if there <= distinct.EXACT:
        assert distinct.count(found) == there
    assert distinct.count(found) == pytest.approx(there, rel=0.02)


def merged_somehow(sketches: list[bytes], generator: random.Random) -> bytes:
    """Any of them with any others, again and again, some of them twice."""
    waiting = [*sketches, distinct.encode([])]
    while len(waiting) > 1:
        generator.shuffle(waiting)
        some = [waiting.pop() for _ in range(min(len(waiting), generator.randint(2, 5)))]
        if generator.random() < 0.3:
            some.append(some[0])
        waiting += merging.sketches([some])
    return waiting[0]


@pytest.mark.parametrize("count", [4_200, 10_000, 100_000])
def test_the_error_beyond_the_exact_counts_is_no_larger_than_that_of_the_method(count: int) -> None:
    """HyperLogLog's standard error with 2**15 registers is 0.575 %; more would mean a bad hash or a bias."""
    errors = []
    for seed in range(40):
        made = np.random.default_rng(seed).integers(0, 2**64, size=count, dtype=np.uint64)
        errors.append(distinct.count(distinct.encode(made)) / count - 1)
    assert math.sqrt(float(np.mean(np.square(errors)))) < 0.007
    assert abs(float(np.mean(errors))) < 0.002
    assert max(map(abs, errors)) < 0.02


IDS = {
    "counted": lambda number: f"{number}",
    "counted, long and equal but for the end": lambda number: "conversation/" * 40 + f"{number:09d}",
    "equal but for the beginning": lambda number: f"{number:09d}" + "x" * 300,
    "differing by blanks": lambda number: "c" + " " * (number % 150) + str(number // 150),
    "not in Latin letters": lambda number: "чат " + "".join(chr(0x4E00 + int(digit)) for digit in str(number)),
}


@pytest.mark.parametrize("spelled", IDS)
@pytest.mark.parametrize("count", [1_000, 15_000])
def test_ids_that_are_alike_are_counted_as_well(spelled: str, count: int) -> None:
    sketch = distinct.encode(distinct.hash_of(IDS[spelled](number)) for number in range(count))
    assert distinct.count(sketch) == pytest.approx(count, rel=0.02 if count > 1_000 else 0, abs=0)


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
    lengths = np.array([len(blob) for blob in blobs], dtype=np.int64)
    assert distinct.counts_by_group(owners, lengths, b"".join(blobs), 7).tolist() == wanted


def test_no_groups_have_no_counts() -> None:
    none = np.array([], dtype=np.int64)
    assert distinct.counts_by_group(none, none, b"", 3).tolist() == [0, 0, 0]


def test_a_hash_is_the_same_in_every_process_and_fits_a_signed_integer() -> None:
    assert distinct.hash_of("conversation-1") == -6568425021530482075
    assert all(-(2**63) <= made < 2**63 for made in hashes(1_000, 1))


def test_a_text_that_is_no_unicode_has_a_hash() -> None:
    assert isinstance(distinct.hash_of("\ud800"), int)


@pytest.mark.parametrize("seed", range(20))
def test_of_a_set_that_grows_the_count_never_falls(seed: int) -> None:
    generator = np.random.default_rng(seed)
    sketch, counted = distinct.encode([]), 0
    for size in [distinct.EXACT - 3, *[1] * 40, *[50] * 40, *[2_000] * 20]:
        more = generator.integers(-(2**63), 2**63, size=size, dtype=np.int64)
        sketch = distinct.merge([sketch, distinct.encode(more.tolist())])
        assert distinct.count(sketch) >= counted
        counted = distinct.count(sketch)
