from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.monitoring.catalogue import METRICS, Kind, Metric, user_metric
from apps.monitoring.core import histogram, prometheus
from apps.monitoring.core.prometheus import Type, own_families, own_labels

NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
BUILT_IN = [family for metric in METRICS.values() for family in prometheus.families(metric)]


def test_no_two_families_have_a_name_in_common() -> None:
    names = [name for family in BUILT_IN for name in family.names]
    assert len(names) == len(set(names))
    assert all(NAME.match(name) for name in names)


def test_no_metric_can_be_taken_for_one_of_the_users_own() -> None:
    assert not [family.name for family in BUILT_IN if family.name.startswith(f"{prometheus.PREFIX}user_")]


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        ("interactions", ["agentmon_interactions_total"]),
        ("conversations", ["agentmon_conversations_total"]),
        ("response_time", ["agentmon_response_time_seconds"]),
        ("confidence", ["agentmon_confidence"]),
        ("tokens", ["agentmon_tokens_total", "agentmon_tokens_samples_total"]),
        ("cost", ["agentmon_cost_usd_total", "agentmon_cost_samples_total"]),
        ("feedback", ["agentmon_feedback_since_midnight", "agentmon_feedback_samples_total"]),
    ],
)
def test_units_are_in_the_name_and_what_only_grows_is_a_total(metric: str, shown: list[str]) -> None:
    assert [family.shown for family in prometheus.families(METRICS[metric])] == shown


def test_what_may_fall_is_no_counter() -> None:
    assert {metric.name for metric in METRICS.values() if prometheus.family(metric).type is Type.GAUGE} == {
        metric.name for metric in METRICS.values() if metric.signed
    }


@pytest.mark.parametrize(
    "metric", [*(m for m in METRICS.values() if m.kind is Kind.HISTOGRAM), user_metric("x", Kind.HISTOGRAM)]
)
def test_a_value_at_a_bound_counts_under_it_and_one_that_is_larger_by_more_than_the_error_does_not(metric: Metric) -> None:
    bounds, limits = prometheus.unit_of(metric).bounds, prometheus.limits_of(metric)
    assert list(bounds) == sorted(set(bounds))
    for bound, limit in zip(bounds, limits, strict=True):
        stored = round(bound * prometheus.scale_of(metric))
        assert histogram.bucket_of(stored) <= limit < histogram.bucket_of(int(stored * 1.011) + 1)


@given(st.dictionaries(st.integers(-40, 40), st.integers(1, 9)), st.lists(st.integers(-50, 50)))
def test_counts_up_to_a_bucket_are_those_of_it_and_below(buckets: dict[int, int], limits: list[int]) -> None:
    limits.sort()
    assert histogram.cumulative(buckets, limits) == [sum(n for at, n in buckets.items() if at <= limit) for limit in limits]


_names = st.sampled_from(
    ["a.b", "a_b", "a__b", "a.b_total", "a_b_total", "a_b_count", "a_b_sum", "a_b_created", "a.b.count", "a_b_total_total"]
)


@given(st.sets(st.tuples(_names, st.sampled_from([Kind.COUNTER, Kind.HISTOGRAM]))))
def test_the_users_own_never_have_a_name_in_common(given_to: set[tuple[str, Kind]]) -> None:
    metrics = [user_metric(name, kind) for name, kind in given_to]
    found = own_families(metrics)
    assert len(found) == len(metrics)
    names = [name for family in found.values() for name in family.names]
    assert len(names) == len(set(names))
    assert all(NAME.match(name) for name in names)
    assert own_families(reversed(metrics)) == found


@given(st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_labels_of_the_users_own_have_names_that_prometheus_takes_and_none_of_ours(labels: dict[str, str]) -> None:
    for name in own_labels(labels):
        assert NAME.match(name)
        assert not name.startswith("__")
        assert name not in {"le", "tenant"}


def test_a_label_without_a_name_has_one() -> None:
    assert own_labels({"": "x", "country": "de"}) == {"_": "x", "country": "de"}
