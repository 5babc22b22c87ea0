"""Percentiles against the nearest rank of the values themselves, whatever they are and however they were merged."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from apps.monitoring.core import histogram, merging
from apps.monitoring.replay import recording
from tests.bench import percentiles

PROMISE = 0.01
QUANTILES = (0.01, 0.5, 0.9, 0.95, 0.99, 0.999)
LARGEST = 10**15

thorough = settings(deadline=None, database=None, max_examples=400)


def bound(bucket: int) -> int:
    return round(2 ** (bucket / histogram.BUCKETS_PER_OCTAVE))


def _two_peaks(chance: random.Random, count: int) -> list[int]:
    low, high, share = chance.randrange(1, 10**6), chance.randrange(10**7, LARGEST), chance.choice(QUANTILES)
    few = math.floor(share * count) + chance.choice((-1, 0, 1))  # the rank is the last of one peak or the first of the other
    return [low] * few + [high] * (count - few)


def _on_bounds(chance: random.Random, count: int) -> list[int]:
    return [max(0, bound(chance.randrange(3_100)) + chance.choice((-1, 0, 1))) for _ in range(count)]


def _in_one_bucket(chance: random.Random, count: int) -> list[int]:
    bucket = chance.randrange(700, 3_100)
    return [chance.randint(bound(bucket) + 1, bound(bucket + 1)) for _ in range(count)]


SHAPES: dict[str, Callable[[random.Random, int], list[int]]] = {
    "two peaks": _two_peaks,
    "on the bounds of buckets": _on_bounds,
    "all in one bucket": _in_one_bucket,
    "small whole numbers": lambda chance, count: [chance.randrange(5) for _ in range(count)],
    "zero but for a few": lambda chance, count: [
        0 if chance.random() < 0.95 else chance.randrange(LARGEST) for _ in range(count)
    ],
    "over all magnitudes": lambda chance, count: [round(10 ** chance.uniform(0, 15)) for _ in range(count)],
    "heavy tail": lambda chance, count: [min(LARGEST, round(1e5 * chance.paretovariate(0.7))) for _ in range(count)],
    "log-normal": lambda chance, count: [round(chance.lognormvariate(14, 1.5)) for _ in range(count)],
    "rising": lambda _, count: list(range(1, count + 1)),
    "one value": lambda chance, count: [chance.randrange(LARGEST)] * count,
}


def nearest_rank(values: Sequence[float], q: float) -> float:
    return sorted(values)[max(1, math.ceil(Fraction(str(q)) * len(values))) - 1]


def encoded(values: Sequence[int]) -> bytes:
    return histogram.encode(Counter(map(histogram.bucket_of, values)))


def merged_somehow(parts: list[bytes], chance: random.Random) -> bytes:
    """Any of them with any others, again and again, by the functions that roll-up, compaction and reading use."""
    while len(parts) > 1:
        chance.shuffle(parts)
        some = [parts.pop() for _ in range(min(len(parts), chance.randint(2, 5)))]
        if chance.random() < 0.5:
            parts += merging.histograms([some])
        else:
            buckets: histogram.Buckets = {}
            for one in some:
                histogram.merge(buckets, histogram.decode(one))
            parts.append(histogram.encode(buckets))
    return parts[0]


@thorough
@given(st.sampled_from(sorted(SHAPES)), st.integers(1, 3_000), st.integers(1, 60), st.integers(0, 2**32))
@example("two peaks", 100, 7, 1)
@example("on the bounds of buckets", 2_999, 60, 2)
def test_whatever_the_values_and_however_they_are_merged_it_is_within_the_promise(
    shape: str, count: int, cells: int, seed: int
) -> None:
    chance = random.Random(seed)
    values = SHAPES[shape](chance, count)
    parts: list[list[int]] = [[] for _ in range(cells)]
    for value in values:
        chance.choice(parts).append(value)
    found = merged_somehow([encoded(part) for part in parts], chance)
    assert found == encoded(values), "a merge must be the histogram of all values, to the last byte"
    for q in QUANTILES:
        answer = histogram.quantile(histogram.decode(found), q, min(values), max(values))
        assert answer == pytest.approx(nearest_rank(values, q), rel=PROMISE, abs=0)


@thorough
@given(
    st.lists(st.one_of(st.integers(0, LARGEST), st.integers(0, 3_100).map(bound)), min_size=1, max_size=200),
    st.fractions(0, 1).map(float),
)
def test_any_quantile_of_any_values_is_within_the_promise(values: list[int], q: float) -> None:
    answer = histogram.quantile(histogram.decode(encoded(values)), q, min(values), max(values))
    rank = max(1, math.ceil(q * len(values)))
    assert answer == pytest.approx(sorted(values)[rank - 1], rel=PROMISE, abs=0)


@pytest.mark.parametrize("q", QUANTILES)
def test_the_rank_of_a_quantile_is_the_exact_one_however_many_values_there_are(q: float) -> None:
    share = Fraction(str(q))
    for count in [*range(1, 5_000), *(10**power + offset for power in range(4, 13) for offset in range(-50, 51))]:
        assert math.ceil(q * count) == math.ceil(share * count), f"{q} of {count}"


@pytest.fixture(scope="module")
def groups(recordings: Path) -> dict[tuple[str, ...], list[float]]:
    """The recorded durations in milliseconds: all, by tenant, and by tenant and model."""
    found: dict[tuple[str, ...], list[float]] = {}

    def observe(name: str, tenant: str, model: str, value: float | None) -> None:
        if value is not None:
            for key in ((name,), (name, tenant), (name, tenant, model)):
                found.setdefault(key, []).append(value)

    for line in recording.read(recordings / "tau2" / "interactions.jsonl.gz"):
        assert isinstance(line, recording.Line)
        of = line.tenant, line.row["model"]
        observe("answer", *of, line.row.get("processing_time_ms"))
        for call in line.row["llm_calls"]:
            observe("model call", *of, call.get("duration_ms"))
    return found


class TestRecordedData:
    @pytest.mark.parametrize("q", QUANTILES)
    def test_each_percentile_is_within_the_promise(self, groups: dict[tuple[str, ...], list[float]], q: float) -> None:
        assert len(groups) > 20
        for name, values in groups.items():
            stored = [round(value * 1_000) for value in values]
            answer = histogram.quantile(histogram.decode(encoded(stored)), q, min(stored), max(stored))
            assert answer is not None
            assert answer / 1_000 == pytest.approx(nearest_rank(values, q), rel=PROMISE, abs=0), name

    def test_the_page_shows_what_is_computed(self, recordings: Path) -> None:
        rows = percentiles.rows(dict([*percentiles.recorded(), *percentiles.made()]))
        text = percentiles.PAGE.read_text()
        assert percentiles.page(text, rows) == text, "run python -m tests.bench.percentiles"
        assert percentiles.CHART.read_text() == percentiles.chart(rows), "run python -m tests.bench.percentiles"
        assert max(abs(row["ours"]) for row in rows) < 100 * PROMISE


class TestHistogramQuantile:
    """What stands for Prometheus in the comparison; the cases are worked out by hand from its documentation."""

    def test_it_draws_a_straight_line_between_the_bounds_of_the_bucket(self) -> None:
        assert percentiles.histogram_quantile([1.5, 1.6, 1.7, 1.8], (1, 2, 4), 0.5) == 1.5
        assert percentiles.histogram_quantile([0.5, 3, 3, 3], (1, 2, 4), 0.5) == pytest.approx(2 + 2 / 3)

    def test_the_first_bucket_begins_at_zero(self) -> None:
        assert percentiles.histogram_quantile([1, 1], (2, 4), 0.5) == 1

    def test_a_value_on_a_bound_is_below_it(self) -> None:
        assert percentiles.histogram_quantile([2.0], (1, 2, 4), 1) == 2

    def test_beyond_the_last_bound_it_says_the_last_bound(self) -> None:
        assert percentiles.histogram_quantile([50, 60, 70], (1, 2, 4), 0.95) == 4
