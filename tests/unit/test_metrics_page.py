"""The pages on metrics say what the catalogue and the rules do."""

from __future__ import annotations

import re

from apps.monitoring.catalogue import METRICS, RATIOS, Kind
from apps.monitoring.core.rules import Rule, Statistic
from apps.monitoring.core.soundness import problems
from tests.reference import metrics, prometheus

TEXT = metrics.PAGE.read_text()


def test_the_page_is_what_the_catalogue_makes_it() -> None:
    assert metrics.page(TEXT) == TEXT, "the catalogue has changed: run make docs"


def test_so_is_the_one_on_prometheus_and_its_examples_name_what_there_is() -> None:
    text = prometheus.PAGE.read_text()
    assert prometheus.page(text) == text, "the code has changed: run make docs"
    known = set(re.findall(r"`(agentmon_[a-z_]+)`", metrics.metrics() + prometheus.machinery()))
    suffixes = ("", "_bucket", "_count", "_sum")
    named = set(re.findall(r"agentmon_(?!user_)[a-z_]+", text))
    assert {name for name in named if not any(name.removesuffix(suffix) in known for suffix in suffixes)} == set()


def test_every_metric_and_ratio_has_a_row() -> None:
    assert set(re.findall(r"^\| `([a-z_]+)` \|", TEXT, re.MULTILINE)) >= METRICS.keys() | RATIOS.keys()


def accepted(metric: str, budget: str) -> set[str]:
    """The statistics with which a rule can work."""
    whole = (Rule(name="r", metric=metric, statistic=s, operator="gt", threshold=1, budget=budget) for s in Statistic)
    return {rule.statistic for rule in whole if not problems(rule)}


def test_the_statistics_of_a_kind_are_those_that_rules_accept() -> None:
    lines = re.findall(r"^\| `?(\w+)`? \| [^|]+ \| ([^|]+) \| ([^|]+) \|$", metrics.kinds(), re.MULTILINE)
    rows = {kind: cells for kind, *cells in lines}
    examples = {metric.kind.value: metric.name for metric in METRICS.values()} | {"ratio": "error_rate"}
    assert examples.keys() == {*Kind, "ratio"}
    for kind, name in examples.items():
        statistics, budgets = (set(re.findall(r"`(\w+)`", cell)) for cell in rows[kind])
        assert statistics - {"forecast"} == accepted(name, "")
        assert budgets == accepted(name, "day")
