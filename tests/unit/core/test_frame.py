from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core.frame import Frame
from apps.monitoring.core.judging import judge_minute
from apps.monitoring.core.rules import NoData, Operator, Rule, judge
from apps.monitoring.core.timeline import Timeline

NEVER = 2**62
VALUES = st.one_of(st.sampled_from([0.0, 1.0, 1.0 + 1e-12, 1.0 + 1e-8, -1.0, float("nan")]), st.floats(-2, 2))
RULES = st.builds(
    Rule,
    name=st.just("r"),
    metric=st.just("response_time"),
    statistic=st.just("p95"),
    operator=st.sampled_from(list(Operator)),
    threshold=st.sampled_from([1.0, 0.0, 0.5]),
    recovery_threshold=st.none(),
    pending_for=st.integers(0, 3),
    keep_firing_for=st.integers(0, 3),
    min_samples=st.integers(0, 3),
    cooldown=st.integers(0, 6),
    no_data=st.sampled_from(list(NoData)),
)
ROWS = st.integers(1, 12).flatmap(
    lambda length: st.lists(
        st.tuples(
            st.lists(VALUES, min_size=length, max_size=length),
            st.lists(st.integers(0, 4), min_size=length, max_size=length),
            st.sampled_from([0, 3, NEVER]),
        ),
        min_size=1,
        max_size=3,
    )
)


def frame(rows: list[tuple[list[float], list[int], int]], start: int = 0) -> Frame:
    samples = np.array([counts for _, counts, _ in rows], dtype=np.int64)
    values = np.where(samples > 0, np.array([own for own, _, _ in rows]), np.nan)
    known = np.array([first for *_, first in rows], dtype=np.int64)
    return Frame(start, [f"t{row}" for row in range(len(rows))], values, samples, known)


@given(RULES, ROWS)
def test_a_breach_in_a_frame_is_a_breach_of_the_verdict(rule: Rule, rows: Any) -> None:
    found = frame(rows)
    breaches = found.breaches(rule)
    for row in range(len(found.tenants)):
        for column in range(found.end):
            seen = found.seen(row, column)
            judged = seen.samples > 0 or column >= found.known[row]
            assert breaches[row, column] == (judged and judge(rule, seen.value, seen.samples).breach)


@given(RULES, ROWS, st.integers(1, 11))
def test_a_timeline_is_that_of_minutes_judged_one_by_one(rule: Rule, rows: Any, cut: int) -> None:
    """However the minutes are cut into frames, and although calm tenants are passed over."""
    whole = frame(rows)
    one_by_one = Timeline(rule, 0)
    for column in range(whole.end):
        seen = {tenant: whole.seen(row, column) for row, tenant in enumerate(whole.tenants) if whole.samples[row, column]}
        expected = [tenant for row, tenant in enumerate(whole.tenants) if column >= whole.known[row]]
        one_by_one.step(column, judge_minute(rule, seen, one_by_one.states, expected, column))
    in_pieces = Timeline(rule, 0)
    for start in range(0, whole.end, cut):
        in_pieces.show(
            frame([(own[start : start + cut], counts[start : start + cut], first) for own, counts, first in rows], start)
        )
    assert in_pieces.lines == one_by_one.lines
    assert in_pieces.states == one_by_one.states
