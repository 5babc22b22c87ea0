from __future__ import annotations

import pytest

from apps.monitoring import catalogue
from apps.monitoring.catalogue import BY_CODE, DISTINCT, METRICS, RATIOS, Kind


def test_every_metric_has_a_name_and_a_code_of_its_own() -> None:
    assert len(BY_CODE) == len(METRICS)
    assert not METRICS.keys() & RATIOS.keys()


def test_labels_are_in_alphabetical_order_as_the_stored_json_gives_them_back() -> None:
    assert [m.name for m in METRICS.values() if list(m.labels) != sorted(m.labels)] == []


def test_no_code_can_be_taken_for_a_metric_of_the_users_own() -> None:
    assert [code for code in BY_CODE if code[0] in "uv"] == []


def test_a_code_has_no_character_that_the_hot_store_gives_a_meaning() -> None:
    assert [code for code in BY_CODE if set(code) & {":", "\x1f", "{", "}"}] == []


def test_every_metric_says_what_it_means() -> None:
    assert [m.name for m in (*METRICS.values(), *RATIOS.values()) if not m.meaning.endswith(".")] == []


def test_every_ratio_is_of_metrics_that_are_recorded() -> None:
    for ratio in RATIOS.values():
        parts = {ratio.numerator, ratio.denominator, ratio.samples, *([ratio.required] if ratio.required else [])}
        assert parts <= METRICS.keys()


def test_the_distinct_metrics_are_those_of_that_kind() -> None:
    assert set(DISTINCT) == {"conversations", "handoff_conversations"}


@pytest.mark.parametrize("kind", [Kind.COUNTER, Kind.HISTOGRAM])
@pytest.mark.parametrize("name", ["a", "_", "cart.abandoned", "A1_b.c", "x" * 100])
def test_a_metric_of_the_users_own_is_found_by_its_code(name: str, kind: Kind) -> None:
    metric = catalogue.user_metric(name, kind)
    assert metric.name == f"user.{name}"
    assert catalogue.by_code(metric.code) == metric


@pytest.mark.parametrize("name", ["", "1st", "a b", "a-b", "a:b", "a\x1fb", "x" * 101, "é", "a\n"])
def test_a_name_that_is_none_is_refused_with_the_rule(name: str) -> None:
    with pytest.raises(ValueError, match="no metric name"):
        catalogue.user_metric(name, Kind.COUNTER)


@pytest.mark.parametrize("code", ["", "u", "v", "u1st", "zz", "u\x1f"])
def test_an_unknown_code_is_an_error(code: str) -> None:
    with pytest.raises(KeyError):
        catalogue.by_code(code)
