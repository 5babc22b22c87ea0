from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core import histogram, sliding

WINDOWS = st.integers(1, 9)
NUMBERS = st.lists(st.one_of(st.just(float("inf")), st.floats(-5, 5)), min_size=9, max_size=30)


def windows(length: int, window: int) -> list[slice]:
    return [slice(end - window, end) for end in range(window, length + 1)]


@given(NUMBERS, WINDOWS)
def test_the_extremes_of_each_window(values: list[float], window: int) -> None:
    found = sliding.minima(np.array([values, values[::-1]]), window)
    assert found.tolist() == [[min(own[at]) for at in windows(len(own), window)] for own in (values, values[::-1])]
    mirrored = [-value for value in values]
    assert sliding.maxima(np.array([mirrored]), window).tolist() == [
        [max(mirrored[at]) for at in windows(len(mirrored), window)]
    ]


@given(st.lists(st.integers(-(10**15), 10**15), min_size=9, max_size=30), WINDOWS)
def test_the_sum_of_each_window(values: list[int], window: int) -> None:
    found = sliding.sums(np.array([values], dtype=np.int64), window)
    assert found.tolist() == [[sum(values[at]) for at in windows(len(values), window)]]


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 19), st.integers(0, 6)), max_size=60), WINDOWS)
def test_the_different_members_of_each_window(seen: list[tuple[int, int, int]], window: int) -> None:
    """A member may be seen several times in a minute, as several parts of it were stored."""
    rows, columns, members = (np.array([one[field] for one in seen], dtype=np.int64) for field in range(3))
    found = sliding.distinct(rows, columns, members.astype(np.uint64), (2, 20 - window + 1), window)
    for row in range(2):
        expected = [
            len({who for owner, minute, who in seen if owner == row and at.start <= minute < at.stop})
            for at in windows(20, window)
        ]
        assert found[row].tolist() == expected


SAMPLES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 14), st.one_of(st.just(0), st.integers(1, 10**7))), max_size=40)


@given(SAMPLES, WINDOWS, st.sampled_from([0.01, 0.5, 0.95, 0.99, 1.0]))
def test_the_quantile_of_each_window(samples: list[tuple[int, int, int]], window: int, q: float) -> None:
    rows, columns, values = (np.array([one[field] for one in samples], dtype=np.int64) for field in range(3))
    buckets = np.array([histogram.bucket_of(value) for value in values.tolist()], dtype=np.int64)
    inside = [
        [
            [value for owner, minute, value in samples if owner == row and at.start <= minute < at.stop]
            for at in windows(15, window)
        ]
        for row in range(2)
    ]
    low = np.array([[min(own, default=np.nan) for own in row] for row in inside])
    high = np.array([[max(own, default=np.nan) for own in row] for row in inside])
    entries = sliding.Entries(rows, columns, buckets, np.ones_like(buckets))
    found = sliding.quantiles(entries, q, (low, high), window)
    for row in range(2):
        for column, own in enumerate(inside[row]):
            counted: histogram.Buckets = {}
            for value in own:
                histogram.merge(counted, {histogram.bucket_of(value): 1})
            expected = histogram.quantile(counted, q, min(own, default=None), max(own, default=None))
            assert found[row, column] == pytest.approx(np.nan if expected is None else expected, rel=1e-12, nan_ok=True)
