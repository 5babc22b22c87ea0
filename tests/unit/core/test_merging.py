from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.monitoring.core import distinct, histogram, merging

quick = settings(deadline=None, database=None, max_examples=100)

histograms = st.dictionaries(st.sampled_from([histogram.ZERO, -5, 0, 1, 7, 900, 3_200]), st.integers(1, 2**33), max_size=5)


@quick
@given(st.lists(st.lists(histograms, max_size=4), max_size=6))
def test_many_histograms_merge_as_one_by_one(groups: list[list[histogram.Buckets]]) -> None:
    encoded = [[histogram.encode(buckets) for buckets in own] for own in groups]
    for data, own in zip(merging.histograms(encoded), groups, strict=True):
        wanted: histogram.Buckets = {}
        for buckets in own:
            histogram.merge(wanted, buckets)
        assert data == histogram.encode(wanted)


def test_few_rows_of_very_many_groups_merge_too(monkeypatch: pytest.MonkeyPatch) -> None:
    groups = [[histogram.encode({group % 7: 1, 50: 2}), histogram.encode({group % 7: 4})] for group in range(200)]
    wanted = merging.histograms(groups)
    monkeypatch.setattr(merging, "_FEW_KEYS", 0)
    assert merging.histograms(groups) == wanted
    assert wanted[0] == histogram.encode({0: 5, 50: 2})


def test_many_sketches_merge_as_one_by_one() -> None:
    groups = [
        [distinct.encode(range(10)), distinct.encode(range(5, 15))],
        [distinct.encode(range(3))],
        [distinct.encode(range(5_000)), distinct.encode([1])],
    ]
    found = merging.sketches(groups)
    assert found == [distinct.merge(own) for own in groups]
    assert [distinct.count(sketch) for sketch in found[:2]] == [15, 3]
