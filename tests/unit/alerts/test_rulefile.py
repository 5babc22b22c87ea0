"""Files of rules: what they say, and what is refused, each thing with its place."""

from __future__ import annotations

from typing import Any

import pytest

from apps.monitoring.alerts.rulefile import rules
from apps.monitoring.alerts.rulefile.errors import RuleFileError
from apps.monitoring.models import AlertRule

SLOW = """\
rules:
  - name: slow
    metric: response_time
    statistic: p95
    operator: gt
    threshold: 5000
"""

FULL: dict[str, Any] = {
    "name": "cost-of-mini",
    "description": "Zwölf Cent,\nor more: 'quoted' \"twice\"",
    "enabled": False,
    "severity": "critical",
    "metric": "cost",
    "statistic": "sum",
    "operator": "gte",
    "threshold": 0.12,
    "recovery_threshold": 0,
    "window": "30d",
    "for": "90m",
    "keep_firing_for": "2h",
    "min_samples": 0,
    "no_data": "alert",
    "scope": "one_tenant",
    "tenant": "no",
    "label_filter": {"model": "123"},
    "cooldown": "0m",
    "message_template": "{rule}: {value} > {threshold}",
    "runbook": "https://runbooks.example/cost",
    "budget": "month",
    "channels": ["mail", "slack"],
}


def refused(text: str) -> list[str]:
    with pytest.raises(RuleFileError) as caught:
        rules.read(text, "f.yaml")
    return list(caught.value.found)


def test_what_a_rule_leaves_out_has_its_default() -> None:
    (entry,) = rules.read(SLOW, "f.yaml")
    default = AlertRule()
    assert (entry.rule.name, entry.rule.threshold, entry.channels) == ("slow", 5_000.0, ())
    for field in ("window_minutes", "cooldown_minutes", "min_samples", "severity", "scope", "no_data", "enabled"):
        assert getattr(entry.rule, field) == getattr(default, field)


def test_every_key_is_read_back_as_it_was_written() -> None:
    assert {*FULL, "change_against"} == {*rules.KEYS, "channels"}
    (entry,) = rules.read(f"{SLOW}    change_against: week\n", "f.yaml")
    assert rules.written(entry.rule, ())["change_against"] == entry.rule.change_against == "week"
    (entry,) = rules.read(rules.dump({"rules": [FULL]}), "f.yaml")
    assert rules.written(entry.rule, entry.channels) == FULL
    assert (entry.rule.window_minutes, entry.rule.for_minutes, entry.rule.tenant) == (43_200, 90, "no")


def test_a_short_rule_is_written_short() -> None:
    (entry,) = rules.read(SLOW, "f.yaml")
    assert rules.dump({"rules": [rules.written(entry.rule, ())]}).split() == SLOW.split()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("treshold: 1", "treshold: there is no such key"),
        ("window: 5 minutes", "window: a stretch of time is whole minutes"),
        ("window: 0", "window: "),
        ("window: 31d", "window: a window is 1 minute to 30 days, not 44640 minutes"),
        ("window: 5.5", "window: a whole number"),
        ("for: true", "for: a whole number"),
        ("min_samples: -1", "min_samples: a whole number of at least 0"),
        ("min_samples: 99999999999", "min_samples: "),
        ("recovery_threshold: 6000", "recovery_threshold: the recovery threshold 6000 lies on the breaching side"),
        ("recovery_threshold: .nan", "recovery_threshold: a finite number"),
        ("recovery_threshold: many", "recovery_threshold: could not convert"),
        ("recovery_threshold: yes", "recovery_threshold: a finite number, not True"),
        ("severity: awful", "severity: "),
        ("enabled: 1", "enabled: true or false"),
        ("tenant: 12", "tenant: a text, not 12: put it in quotes"),
        ("tenant: acme", "tenant: only a rule for one tenant"),
        ("scope: on", "scope: a text, not True: put it in quotes"),
        ("label_filter: [model]", "label_filter: a mapping of texts"),
        ("label_filter: {model: 4}", "label_filter: a text, not 4"),
        ("label_filter: {model: gpt-4o}", "label_filter: response_time has no label model"),
        ("channels: mail", "channels: a list of names"),
        ("channels: [1]", "channels: a text, not 1"),
        ("runbook: javascript:alert(1)", "runbook: "),
        ("message_template: '{password}'", "message_template: unknown placeholder password"),
        ("change_against: year", "change_against: "),
        ("budget: month", "statistic: a budget is of what adds up"),
        ("threshold: 1", "f.yaml:7: threshold is there twice"),
    ],
)
def test_what_is_wrong_is_named_with_file_rule_and_key(line: str, message: str) -> None:
    (found,) = refused(f"{SLOW}    {line}\n")
    assert found.startswith(("f.yaml:2: rule slow: ", "f.yaml:7: threshold"))
    assert message in found


def test_everything_that_is_wrong_is_told_at_once() -> None:
    assert [line.split(": ")[0:2] for line in refused(f"{SLOW}  - name: fast\n  - 7\nrulez: []\n")] == [
        ["f.yaml", "there is no 'rulez' in a file of rules, only rules"],
        *[["f.yaml:7", "rule fast"]] * 4,
        ["f.yaml:8", "this is a mapping, not 7"],
    ]


@pytest.mark.parametrize(
    "text",
    ["", "rules:", "rules: {}", "- name: slow", "rules: [", "rules: \x00", "a: &a [*a]", "rules: 2026-99-99", "[" * 5_000],
)
def test_what_is_no_file_of_rules_is_refused(text: str) -> None:
    assert all(line.startswith("f.yaml") for line in refused(text))


def test_nothing_is_run_by_reading() -> None:
    assert "could not determine a constructor" in refused("rules: !!python/object/apply:os.system ['true']")[0]


def test_a_flood_of_aliases_is_no_flood_of_text() -> None:
    bomb = "a: &a [lol,lol,lol,lol,lol,lol,lol,lol,lol]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True):
        bomb += f"{after}: &{after} [{','.join([f'*{before}'] * 9)}]\n"
    assert sum(map(len, refused(f"{bomb}rules: {{lots: *i}}\n"))) < 5_000


def test_a_name_twice_is_refused_within_a_file_and_over_files() -> None:
    (found,) = refused(SLOW + SLOW.removeprefix("rules:\n"))
    assert found == "f.yaml:7: rule slow: name: the rule is there already: f.yaml:2: rule slow"
    with pytest.raises(RuleFileError, match="there already"):
        rules.join([rules.read(SLOW, "a"), rules.read(SLOW, "b")])


def test_numbers_that_yaml_takes_for_texts_are_numbers() -> None:
    (entry,) = rules.read(SLOW.replace("5000", "5e3"), "f.yaml")
    assert entry.rule.threshold == 5_000.0


def test_anchors_can_be_shared() -> None:
    text = SLOW.replace("- name: slow", "- &slow\n    name: slow") + "  - {<<: *slow, name: slower, threshold: 9000}\n"
    assert [entry.rule.threshold for entry in rules.read(text, "f.yaml")] == [5_000, 9_000]
