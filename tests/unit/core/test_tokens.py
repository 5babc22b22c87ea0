"""Each token is of one kind, whatever was reported."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.core import tokens
from apps.monitoring.core.tokens import disjoint

reported = st.dictionaries(st.sampled_from(tokens.GIVEN), st.integers(0, 10**15))


@given(reported)
def test_no_kind_is_negative_or_unknown(given: dict[str, int]) -> None:
    counts, _ = disjoint(given)
    assert set(counts) <= set(tokens.KINDS)
    assert all(count >= 0 for count in counts.values())


@given(reported)
def test_prompt_and_completion_are_the_sums_of_their_kinds(given: dict[str, int]) -> None:
    counts, _ = disjoint(given)
    for name, kinds in (("prompt_tokens", tokens.PROMPT_KINDS), ("completion_tokens", tokens.COMPLETION_KINDS)):
        if name in given:
            assert sum(counts.get(kind, 0) for kind in kinds) == given[name]


@given(reported)
def test_the_total_is_the_given_one_unless_it_contradicts_its_parts(given: dict[str, int]) -> None:
    counts, contradictions = disjoint(given)
    if "total_tokens" in given and not contradictions:
        assert sum(counts.values()) == given["total_tokens"]


@given(reported)
def test_nothing_comes_from_nothing(given: dict[str, int]) -> None:
    counts, contradictions = disjoint(given)
    assert bool(counts) == bool(given) or contradictions


def test_a_part_beyond_its_whole_is_left_out_and_counted() -> None:
    assert disjoint({"prompt_tokens": 5, "cache_read_tokens": 9}) == ({"input": 5}, 1)
    assert disjoint({"completion_tokens": 5, "reasoning_tokens": 9, "total_tokens": 2}) == ({"output": 5}, 2)
