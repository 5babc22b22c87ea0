"""`manage.py rules`: what is stored becomes a file, and a file becomes what is stored."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.monitoring.alerts import defaults
from apps.monitoring.models import AlertRule, Channel
from tests.integration.alerts import judged

pytestmark = pytest.mark.django_db

SLOW = "rules:\n  - {name: slow, metric: response_time, statistic: p95, operator: gt, threshold: 5000, channels: [mail]}\n"


def said(*arguments: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("rules", *arguments, stdout=out, **options)
    return out.getvalue()


def told(*arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(said(*arguments, "--json"))
    return answer


def everything() -> list[Any]:
    rules = list(AlertRule.objects.order_by("name").values())
    for rule in rules:
        del rule["updated_at"]
    return [rules, sorted(AlertRule.channels.through.objects.values_list("alertrule__name", "channel__name"))]


@pytest.fixture
def channels() -> None:
    Channel.objects.create(name="mail", kind="log", secrets={"token": "hush"})
    Channel.objects.create(name="slack", kind="log")


@pytest.fixture
def file(tmp_path: Path, channels: None) -> Path:
    made = tmp_path / "rules.yaml"
    made.write_text(SLOW)
    return made


def test_what_is_exported_is_applied_without_a_change(tmp_path: Path, channels: None) -> None:
    defaults.create_missing()
    AlertRule.objects.get(name="error-rate-5m").channels.set(Channel.objects.all())
    exported = tmp_path / "all.yaml"
    exported.write_text(said("export"))
    before = everything()
    answer = told("apply", str(exported), "--prune")
    assert (answer["created"], answer["changed"], answer["deleted"], answer["diff"]) == ([], [], [], [])
    assert answer["unchanged"] == AlertRule.objects.count() > 5
    assert everything() == before
    assert "hush" not in exported.read_text()
    assert told("export", "error-rate-5m")["rules"][0]["channels"] == ["mail", "slack"]


@pytest.mark.parametrize(
    "fields",
    [
        {"description": "first\u2028second\u2029third\x85fourth"},
        {"metric": "user.x", "statistic": "count", "label_filter": {"a": "x\u2028y"}},
        {"scope": "one_tenant", "tenant": "a\u2028b"},
        {"cooldown_minutes": 1_000_001},
        {"keep_firing_for_minutes": 2**31 - 1},
    ],
)
def test_what_yaml_or_a_terminal_would_break_is_exported_whole(fields: dict[str, Any], tmp_path: Path) -> None:
    judged.rule("odd", **fields)
    exported = tmp_path / "all.yaml"
    exported.write_text(said("export"))
    answer = told("apply", str(exported))
    assert (answer["created"], answer["changed"], answer["unchanged"]) == ([], [], 1)


def test_an_empty_database_becomes_what_was_exported(tmp_path: Path) -> None:
    defaults.create_missing()
    exported = tmp_path / "all.yaml"
    exported.write_text(said("export"))
    AlertRule.objects.all().delete()
    assert len(told("apply", str(exported))["created"]) > 5
    assert said("export") == exported.read_text()


def test_applying_twice_changes_nothing_the_second_time(file: Path) -> None:
    assert told("apply", str(file))["created"] == ["slow"]
    stamp = AlertRule.objects.get().updated_at
    assert told("apply", str(file))["unchanged"] == 1
    assert AlertRule.objects.get().updated_at == stamp


def test_a_dry_run_shows_a_diff_and_changes_nothing(file: Path) -> None:
    told("apply", str(file))
    AlertRule(name="mine", metric="errors", statistic="count", operator="gt", threshold=3).save()
    file.write_text(
        SLOW.replace("5000", "6000").replace("[mail]", "[slack]")
        + "  - {name: new, metric: error_rate, statistic: ratio, operator: gt, threshold: 0.5}\n"
    )
    before = everything()
    shown = said("apply", str(file), "--dry-run", "--prune")
    assert everything() == before
    assert "\x1b" not in shown
    for line in (
        "--- slow (stored)", "+++ slow (file)", "-  threshold: 5000", "+  threshold: 6000", "-  - mail", "+  - slack",
        "--- /dev/null", "+++ new (file)", "+- name: new", "--- mine (stored)", "+++ /dev/null", "-- name: mine",
        "would be 1 created, 1 changed, 1 deleted, 0 unchanged",
    ):  # fmt: skip
        assert line in shown.splitlines()
    assert "\x1b[" in said("apply", str(file), "--dry-run", force_color=True)
    real = said("apply", str(file), "--prune")
    assert real.splitlines()[:-1] == shown.splitlines()[:-1]
    assert set(AlertRule.objects.values_list("name", "threshold")) == {("slow", 6_000.0), ("new", 0.5)}
    assert list(AlertRule.objects.get(name="slow").channels.values_list("name", flat=True)) == ["slack"]


def test_without_pruning_other_rules_stay(file: Path) -> None:
    AlertRule(name="mine", metric="errors", statistic="count", operator="gt", threshold=3).save()
    assert told("apply", str(file))["deleted"] == []
    assert AlertRule.objects.filter(name="mine").exists()


def test_what_a_file_leaves_out_goes_back_to_its_default(file: Path) -> None:
    told("apply", str(file))
    rule = AlertRule.objects.get()
    rule.window_minutes, rule.enabled = 60, False
    rule.save()
    assert told("apply", str(file))["changed"] == ["slow"]
    rule.refresh_from_db()
    assert (rule.window_minutes, rule.enabled) == (5, True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "  - {name: bad, metric: nothing, statistic: p95, operator: gt, threshold: 1}\n",
            "rules.yaml:3: rule bad: metric: there is no metric",
        ),
        (
            "  - {name: bad, metric: errors, statistic: count, operator: gt, threshold: 1, channels: [pager]}\n",
            "rules.yaml:3: rule bad: channels: there is no channel 'pager'; there are: mail, slack",
        ),
        ("  - {name: slow}\n", "rules.yaml:3: rule slow: metric: this is missing"),
    ],
)
def test_one_rule_that_is_wrong_and_none_is_saved(file: Path, more: str, message: str) -> None:
    file.write_text(SLOW + more)
    before = everything()
    for arguments in (["--dry-run"], []):
        with pytest.raises(CommandError) as caught:
            said("apply", str(file), *arguments)
        assert message in str(caught.value)
        assert everything() == before


def test_files_are_one_and_what_cannot_be_read_is_named(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SLOW.replace("slow", "slower"))
    assert told("apply", str(file), str(other))["created"] == ["slow", "slower"]
    with pytest.raises(CommandError, match="there already"):
        said("apply", str(file), str(file))
    with pytest.raises(CommandError, match=r"nowhere\.yaml: this cannot be read: No such file"):
        said("apply", str(tmp_path / "nowhere.yaml"))
    other.write_bytes(b"rules: \xff")
    with pytest.raises(CommandError, match="not UTF-8"):
        said("apply", str(other))


def test_standard_input_is_a_file(channels: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(SLOW))
    assert told("apply", "-")["created"] == ["slow"]


def test_a_rule_that_is_not_there_is_not_exported() -> None:
    with pytest.raises(CommandError, match="there is no rule nobody"):
        said("export", "nobody")
