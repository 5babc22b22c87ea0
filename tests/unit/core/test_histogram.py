from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.monitoring.core import histogram
from apps.monitoring.core.histogram import Buckets

LARGEST = 10**15
WITHIN = (2 ** (1 / 64) - 1) / (2 ** (1 / 64) + 1) + 1e-12  # 0.54 %
QUANTILES = (0.5, 0.95, 0.99)

quick = settings(deadline=None, database=None, max_examples=300)

values = st.one_of(
    st.integers(0, LARGEST),
    st.integers(0, 40),
    st.integers(0, 49).map(lambda power: 2**power),
    st.integers(0, 15).map(lambda power: 10**power),
    st.integers(1, 49).map(lambda power: 2**power - 1),
)
samples = st.lists(values, min_size=1, max_size=60) | st.lists(
    st.sampled_from([0, 1, 10**9, LARGEST]), min_size=1, max_size=300
)


def histogram_of(numbers: list[int]) -> Buckets:
    buckets: Buckets = {}
    for number in numbers:
        histogram.merge(buckets, {histogram.bucket_of(number): 1})
    return buckets


def nearest_rank(numbers: list[int], q: float) -> int:
    rank = max(1, math.ceil(Fraction(str(q)) * len(numbers)))
    return sorted(numbers)[rank - 1]


@quick
@given(values)
def test_a_value_lies_in_its_bucket(value: int) -> None:
    bucket = histogram.bucket_of(value)
    if value == 0:
        assert bucket == histogram.ZERO
        return
    lower, upper = 2 ** (bucket / 64), 2 ** ((bucket + 1) / 64)
    assert lower * (1 - 1e-9) < value <= upper * (1 + 1e-9)


def test_a_power_of_two_is_the_upper_end_of_its_bucket() -> None:
    assert [histogram.bucket_of(2**power) for power in range(50)] == [64 * power - 1 for power in range(50)]


def test_a_negative_value_has_no_bucket() -> None:
    with pytest.raises(ValueError, match="-1"):
        histogram.bucket_of(-1)


@quick
@given(samples, st.sampled_from(QUANTILES))
@example([LARGEST] * 19 + [0], 0.95)
@example([1] * 99 + [LARGEST], 0.99)
@example(list(range(100)), 0.95)
def test_a_quantile_is_within_half_a_per_cent_of_the_nearest_rank(numbers: list[int], q: float) -> None:
    found = histogram.quantile(histogram_of(numbers), q, min(numbers), max(numbers))
    assert found == pytest.approx(nearest_rank(numbers, q), rel=WITHIN, abs=0)


@quick
@given(samples, st.sampled_from(QUANTILES))
def test_a_quantile_without_known_extremes_is_as_near(numbers: list[int], q: float) -> None:
    assert histogram.quantile(histogram_of(numbers), q, None, None) == pytest.approx(
        nearest_rank(numbers, q), rel=WITHIN, abs=0
    )


@quick
@given(samples, st.sampled_from(QUANTILES))
def test_a_quantile_never_leaves_the_values(numbers: list[int], q: float) -> None:
    found = histogram.quantile(histogram_of(numbers), q, min(numbers), max(numbers))
    assert found is not None
    assert min(numbers) <= found <= max(numbers)


@quick
@given(values, st.integers(1, 500), st.sampled_from(QUANTILES))
def test_a_quantile_of_one_repeated_value_is_that_value(value: int, times: int, q: float) -> None:
    assert histogram.quantile({histogram.bucket_of(value): times}, q, value, value) == value


def test_a_quantile_of_nothing_is_none() -> None:
    assert histogram.quantile({}, 0.5, None, None) is None


@quick
@given(samples, samples, samples)
def test_merging_is_associative_and_commutative(a: list[int], b: list[int], c: list[int]) -> None:
    def merged(*parts: Buckets) -> Buckets:
        total: Buckets = {}
        for part in parts:
            histogram.merge(total, part)
        return total

    x, y, z = histogram_of(a), histogram_of(b), histogram_of(c)
    assert merged(merged(x, y), z) == merged(x, merged(y, z)) == merged(z, y, x) == histogram_of(a + b + c)


@quick
@given(st.dictionaries(st.integers(histogram.ZERO, 3_200), st.integers(1, 2**35), max_size=20))
def test_what_is_encoded_is_decoded(buckets: Buckets) -> None:
    assert histogram.decode(histogram.encode(buckets)) == buckets


@quick
@given(st.dictionaries(st.integers(0, 3_200), st.integers(1, 2**33), max_size=20))
def test_the_bytes_do_not_depend_on_the_order_of_the_buckets(buckets: Buckets) -> None:
    assert histogram.encode(dict(reversed(buckets.items()))) == histogram.encode(buckets)


@quick
@given(st.lists(st.lists(samples, max_size=3), min_size=1, max_size=6), st.sampled_from(QUANTILES), st.randoms())
def test_the_quantiles_of_many_groups_are_those_of_each(groups: list[list[list[int]]], q: float, random: object) -> None:
    owners = [number for number, parts in enumerate(groups) for _ in parts]
    blobs = [histogram.encode(histogram_of(part)) for parts in groups for part in parts]
    order = list(range(len(owners)))
    random.shuffle(order)  # type: ignore[attr-defined]
    everything = [[number for part in parts for number in part] for parts in groups]
    found = histogram.Groups(
        np.array([owners[i] for i in order], dtype=np.int64),
        np.array([len(blobs[i]) for i in order], dtype=np.int64),
        b"".join(blobs[i] for i in order),
        np.array([min(numbers, default=math.nan) for numbers in everything]),
        np.array([max(numbers, default=math.nan) for numbers in everything]),
    ).quantiles(q)
    for numbers, value in zip(everything, found.tolist(), strict=True):
        if not numbers:
            assert math.isnan(value)
            continue
        alone = histogram.quantile(histogram_of(numbers), q, min(numbers), max(numbers))
        assert value == pytest.approx(alone, rel=1e-12, abs=0)


def test_no_groups_have_no_quantiles() -> None:
    nothing = np.array([], dtype=np.float64)
    none = np.array([], dtype=np.int64)
    assert histogram.Groups(none, none, b"", nothing, nothing).quantiles(0.5).size == 0
