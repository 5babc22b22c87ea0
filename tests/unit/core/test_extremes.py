"""A line with fewer points keeps its peaks and its gaps."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core.extremes import thin

NAN = math.nan


def test_a_short_line_stays_as_it_is() -> None:
    assert thin(np.array([1.0, NAN, 3.0]), 10) == (1, [(1.0, 1.0), (None, None), (3.0, 3.0)])
    assert thin(np.empty(0), 10) == (1, [])


def test_a_stretch_has_its_least_and_its_greatest_value_and_a_gap_stays_one() -> None:
    values = np.array([5.0, NAN, 1.0, NAN, NAN, NAN, 7.0])
    assert thin(values, 3) == (3, [(1.0, 5.0), (None, None), (7.0, 7.0)])


@given(st.lists(st.one_of(st.just(NAN), st.floats(-1e6, 1e6)), max_size=300), st.integers(1, 50))
def test_no_peak_is_lost_however_few_points_there_are(values: list[float], most: int) -> None:
    length, points = thin(np.array(values), most)
    assert len(points) <= most
    assert length * len(points) >= len(values)
    known = [value for value in values if not math.isnan(value)]
    kept = [value for pair in points for value in pair if value is not None]
    assert (min(known, default=None), max(known, default=None)) == (min(kept, default=None), max(kept, default=None))
