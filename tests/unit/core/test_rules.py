from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from apps.monitoring.catalogue import METRICS, RATIOS, Kind
from apps.monitoring.core.rules import (
    MAX_REACH,
    MAX_WINDOW,
    NoData,
    Operator,
    Rule,
    Scope,
    Statistic,
    compared,
    compared_in_words,
    condition,
    judge,
    subject,
)
from apps.monitoring.core.soundness import problems

SOUND = Rule(name="slow", metric="response_time", statistic="p95", operator="gt", threshold=5_000.0)
OF_A_SHARE: dict[str, Any] = {"metric": "error_rate", "statistic": "ratio", "threshold": 0.1}


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"metric": "error_rate", "statistic": "ratio", "threshold": 0.1},
        {"metric": "errors", "statistic": "count", "label_filter": {"operation": "crm"}},
        {"metric": "cost", "statistic": "sum", "label_filter": {"model": "gpt-4o"}},
        {"metric": "conversations", "statistic": "count"},
        {"metric": "user.carts.abandoned", "statistic": "p99", "label_filter": {"anything": "goes"}},
        {"operator": "lt", "recovery_threshold": 6_000.0},
        {"recovery_threshold": 5_000.0},
        {"operator": "eq"},
        {"window": MAX_WINDOW},
        {"scope": Scope.ONE_TENANT, "tenant": "acme"},
        {"message_template": "{rule} {tenant} {value} {threshold} {samples} {window} {severity}"},
        {"threshold": 0},
        {"threshold": -1.0},
        {"change_against": "day"},
        {"change_against": "week", "metric": "conversations", "statistic": "count", "window": MAX_WINDOW},
        {"change_against": "week", "metric": "error_rate", "statistic": "ratio", "operator": "lt", "threshold": -50.0},
        *({"metric": "cost", "statistic": s, "budget": b} for s in ("sum", "count", "forecast") for b in ("day", "month")),
        {"metric": "llm_call_tokens", "statistic": "forecast", "budget": "month", "label_filter": {"provider": "openai"}},
        {"metric": "errors", "statistic": "count", "budget": "day"},
        {"metric": "user.spent", "statistic": "sum", "budget": "month"},
    ],
)
def test_a_rule_that_can_work_has_no_problems(change: dict[str, Any]) -> None:
    assert problems(replace(SOUND, **change)) == {}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"metric": "response_tiem"}, "metric", "no metric 'response_tiem'"),
        ({"metric": ""}, "metric", "no metric"),
        ({"metric": "user."}, "metric", "no metric name"),
        ({"metric": "user.not a name"}, "metric", "no metric name"),
        ({"statistic": "ratio"}, "statistic", "histogram"),
        ({"statistic": "p42"}, "statistic", "p42"),
        ({"metric": "errors", "statistic": "p95"}, "statistic", "counter"),
        ({"metric": "cost", "statistic": "max"}, "statistic", "amount"),
        ({"metric": "conversations", "statistic": "sum"}, "statistic", "distinct"),
        ({"metric": "error_rate", "statistic": "mean", "threshold": 0.1}, "statistic", "must be ratio"),
        ({"metric": "user.carts", "statistic": "ratio"}, "statistic", "has no ratio"),
        ({"operator": "ne"}, "operator", "ne"),
        ({"threshold": math.nan}, "threshold", "finite"),
        ({**OF_A_SHARE, "threshold": 10.0}, "threshold", "write 0.1 for 10 %, not 10"),
        ({**OF_A_SHARE, "threshold": -0.1}, "threshold", "a share of 1"),
        ({"threshold": math.inf}, "threshold", "finite"),
        ({"threshold": None}, "threshold", "finite"),
        ({"threshold": "5"}, "threshold", "finite"),
        ({"recovery_threshold": 6_000.0}, "recovery_threshold", "breaching side"),
        ({"operator": "lt", "recovery_threshold": 4_000.0}, "recovery_threshold", "breaching side"),
        ({"operator": "eq", "recovery_threshold": 1.0}, "recovery_threshold", "leave"),
        ({"recovery_threshold": math.nan}, "recovery_threshold", "finite"),
        ({"change_against": "month"}, "change_against", "day or week, not 'month'"),
        ({"metric": "cost", "statistic": "sum", "budget": "year"}, "budget", "day or month, not 'year'"),
        ({"metric": "cost", "statistic": "sum", "budget": "day", "change_against": "week"}, "budget", "choose one"),
        ({"metric": "cost", "statistic": "forecast"}, "budget", "a forecast is of a budget"),
        ({"metric": "cost", "statistic": "mean", "budget": "day"}, "statistic", "what adds up: sum, count, forecast"),
        ({"metric": "conversations", "statistic": "count", "budget": "day"}, "statistic", "what adds up"),
        ({"metric": "cost_per_conversation", "statistic": "ratio", "budget": "day"}, "statistic", "what adds up"),
        ({"metric": "errors", "statistic": "forecast", "budget": "day"}, "statistic", "counter"),
        ({"statistic": "forecast", "budget": "day"}, "statistic", "histogram"),
        ({"metric": "user.spent", "statistic": "forecast", "budget": "day"}, "statistic", "has no forecast"),
        ({"window": 0}, "window_minutes", "1 minute"),
        ({"window": MAX_WINDOW + 1}, "window_minutes", "30 days"),
        ({"scope": Scope.ONE_TENANT}, "tenant", "names the tenant"),
        ({"tenant": "acme"}, "tenant", "only"),
        ({"scope": Scope.GLOBAL, "tenant": "acme"}, "tenant", "only"),
        ({"label_filter": {"model": "gpt-4o"}}, "label_filter", "no label model"),
        ({"label_filter": []}, "label_filter", "object"),
        ({"metric": "cost", "statistic": "sum", "label_filter": {"model": 4}}, "label_filter", "texts"),
        ({**OF_A_SHARE, "label_filter": {"operation": "crm"}}, "label_filter", "no label"),
        ({"message_template": "{nobody}"}, "message_template", "nobody"),
        ({"message_template": "{}"}, "message_template", "unknown placeholder"),
        ({"message_template": "{rule.__class__}"}, "message_template", "__class__"),
        ({"message_template": "{value:.2f}"}, "message_template", "value:.2f"),
        ({"message_template": "{value!r}"}, "message_template", "value!r"),
        ({"message_template": "{"}, "message_template", "cannot be read"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_field_and_the_reason(
    change: dict[str, Any], field: str, reason: str
) -> None:
    found = problems(replace(SOUND, **change))
    assert list(found) == [field]
    assert reason in found[field]


def test_every_metric_has_a_statistic_that_suits_it() -> None:
    for metric in METRICS.values():
        allowed = [s for s in Statistic if not problems(replace(SOUND, metric=metric.name, statistic=s.value))]
        assert Statistic.COUNT in allowed
        assert (Statistic.P95 in allowed) == (metric.kind is Kind.HISTOGRAM)
        assert not {Statistic.RATIO, Statistic.FORECAST} & set(allowed)
        of_a_budget = [
            s for s in Statistic if not problems(replace(SOUND, metric=metric.name, statistic=s.value, budget="day"))
        ]
        assert (Statistic.FORECAST in of_a_budget) == (metric.kind is Kind.AMOUNT)
        assert (Statistic.COUNT in of_a_budget) == (metric.kind is not Kind.DISTINCT)
    for ratio in RATIOS:
        one = replace(SOUND, metric=ratio, threshold=0.5)
        assert [s for s in Statistic if not problems(replace(one, statistic=s.value))] == [Statistic.RATIO]
        assert not problems(replace(one, statistic=Statistic.RATIO, threshold=50.0, change_against="day"))


@pytest.mark.parametrize(
    ("operator", "below", "equal", "above"),
    [
        ("gt", False, False, True),
        ("gte", False, True, True),
        ("lt", True, False, False),
        ("lte", True, True, False),
        ("eq", False, True, False),
    ],
)
def test_the_operators_at_and_around_the_threshold(operator: str, *, below: bool, equal: bool, above: bool) -> None:
    rule = replace(SOUND, operator=operator, threshold=100.0)
    assert [judge(rule, value, 10).breach for value in (99.9, 100.0, 100.1)] == [below, equal, above]
    assert [judge(rule, value, 10).recovered for value in (99.9, 100.0, 100.1)] == [not below, not equal, not above]


def test_equal_forgives_the_last_bit_of_a_division() -> None:
    assert Operator.EQ.holds(0.1 + 0.2, 0.3)
    assert not Operator.EQ.holds(0.3001, 0.3)


def test_between_threshold_and_recovery_nothing_is_decided() -> None:
    rule = replace(SOUND, threshold=100.0, recovery_threshold=80.0)
    found = {value: judge(rule, value, 10) for value in (101.0, 100.0, 90.0, 80.0)}
    assert [v.breach for v in found.values()] == [True, False, False, False]
    assert [v.recovered for v in found.values()] == [False, False, False, True]


@pytest.mark.parametrize(("value", "samples"), [(None, 0), (9_999.0, 9), (None, 50)])
@pytest.mark.parametrize(
    ("policy", "breach", "recovered"), [(NoData.OK, False, True), (NoData.KEEP, False, False), (NoData.ALERT, True, False)]
)
def test_no_value_is_what_the_policy_says(
    value: float | None, samples: int, policy: str, *, breach: bool, recovered: bool
) -> None:
    found = judge(replace(SOUND, no_data=policy), value, samples)
    assert (found.value, found.breach, found.recovered) == (None, breach, recovered)


def test_enough_samples_are_enough() -> None:
    assert judge(SOUND, 9_999.0, 10).breach


def test_the_reason_names_value_and_threshold() -> None:
    assert judge(SOUND, 6_000.5, 10).reason == "6000.5 > 5000"
    assert judge(SOUND, 1.0, 10).reason == "1 is not > 5000"
    assert judge(SOUND, 6_000.0, 3).reason == "no value: 3 of 10 samples"
    assert judge(SOUND, None, 0).reason == "no data"
    assert judge(SOUND, None, 50).reason == "no value, although there are 50 samples"
    missing = "nothing to compare: both windows, now and a week before, need data"
    assert judge(replace(SOUND, change_against="week"), None, 0).reason == missing


@pytest.mark.parametrize(
    ("change", "unit"),
    [
        ({}, "ms"),
        ({"statistic": "count"}, "count"),
        ({"metric": "cost", "statistic": "sum"}, "USD"),
        ({"metric": "error_rate", "statistic": "ratio"}, "share"),
        ({"metric": "cost_per_conversation", "statistic": "ratio"}, "USD"),
        ({"metric": "user.x"}, ""),
        ({"change_against": "day"}, "%"),
        ({"metric": "cost", "statistic": "forecast", "budget": "day"}, "USD"),
    ],
)
def test_the_unit_of_a_threshold(change: dict[str, Any], unit: str) -> None:
    assert replace(SOUND, **change).unit == unit


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "p95 of response_time > 5 s over 5 minutes"),
        ({"window": 1_500}, "p95 of response_time > 5 s over 1 day 1 hour"),
        ({"window": 1}, "p95 of response_time > 5 s over 1 minute"),
        ({"metric": "error_rate", "statistic": "ratio", "threshold": 0.1}, "error_rate > 10 % over 5 minutes"),
        (
            {"change_against": "week", "threshold": 50},
            "change of p95 of response_time against the week before > 50 % over 5 minutes",
        ),
        ({"metric": "cost", "statistic": "sum", "budget": "day"}, "sum of cost > $5000 over the day"),
        ({"metric": "cost", "statistic": "forecast", "budget": "month"}, "forecast of cost > $5000 over the month"),
        (
            {"metric": "interactions", "statistic": "rate", "threshold": 0.5},
            "rate of interactions > 0.5 a second over 5 minutes",
        ),
        ({"metric": "unknown_prices", "statistic": "count", "threshold": 0.0}, "count of unknown_prices > 0 over 5 minutes"),
        ({"operator": "??", "metric": "gone"}, "p95 of gone ?? 5000 over 5 minutes"),
    ],
)
def test_a_condition_in_words(change: dict[str, Any], words: str) -> None:
    assert condition(replace(SOUND, **change)) == words


@pytest.mark.parametrize(
    ("change", "value", "plain", "words"),
    [
        ({}, 6_000.5, "6000.5 > 5000", "6 s > 5 s"),
        ({}, 900.0, "900 is not > 5000", "900 ms is not > 5 s"),
        ({"metric": "interactions", "statistic": "rate", "threshold": 2.0}, 3.0, "3 > 2", "3 a second > 2 a second"),
        ({"operator": "??"}, 6_000.0, "6000 is not ?? 5000", "6 s is not ?? 5 s"),
    ],
)
def test_a_comparison_in_plain_numbers_and_in_words(change: dict[str, Any], value: float, plain: str, words: str) -> None:
    rule = replace(SOUND, **change)
    assert (compared(rule, value), compared_in_words(rule, value)) == (plain, words)


@pytest.mark.parametrize(
    ("change", "minutes"),
    [
        ({"window": 7}, 7),
        ({"change_against": "day"}, 5 + 1_440),
        ({"change_against": "week", "window": MAX_WINDOW}, MAX_WINDOW + 10_080),
        ({"budget": "day"}, 1_620),
        ({"budget": "day", "window": 2_000}, 2_000),
        ({"budget": "month"}, 44_820),
        ({"budget": "never", "change_against": "never"}, 5),
    ],
)
def test_how_far_a_rule_looks_back(change: dict[str, Any], minutes: int) -> None:
    assert replace(SOUND, **change).reach == minutes <= MAX_REACH


def test_the_subject_is_what_is_judged_of_whom_and_nothing_else() -> None:
    same = {"threshold": 1.0, "operator": "lt", "window": 9, "severity": "critical", "no_data": "keep", "name": "other"}
    assert subject(replace(SOUND, **same)) == subject(SOUND)
    others: list[dict[str, Any]] = [
        {"metric": "llm_call_duration"}, {"statistic": "p99"}, {"scope": "global"}, {"tenant": "acme"},
        {"label_filter": {"a": "b"}}, {"change_against": "day"}, {"budget": "day"},
    ]  # fmt: skip
    assert len({subject(replace(SOUND, **other)) for other in [{}, *others]}) == len(others) + 1
    one, other = ({"label_filter": dict(pairs)} for pairs in ([("a", "1"), ("b", "2")], [("b", "2"), ("a", "1")]))
    assert subject(replace(SOUND, **one)) == subject(replace(SOUND, **other))
