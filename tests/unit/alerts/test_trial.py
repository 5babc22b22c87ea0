"""Tests of rules: what a file may say, what a series becomes, and when a check holds."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import CommandError, call_command

from apps.monitoring.alerts.rulefile import cases, notation, trial
from apps.monitoring.alerts.rulefile.errors import RuleFileError

DOCS = Path(__file__).resolve().parents[3] / "docs"

SLOW = {"name": "slow", "metric": "response_time", "statistic": "p95", "operator": "gt", "threshold": 5_000, "window": "1m"}


def tried(tmp_path: Path, rule: dict[str, Any], series: Any, *checks: dict[str, Any], **more: Any) -> list[trial.Failure]:
    """The failures of one test of one rule; ``series`` maps its spelling to its values."""
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": [{"min_samples": 1, "cooldown": "5m", **SLOW, **rule}]}))
    name = rule.get("name", "slow")
    given = [{"series": one, "values": values} for one, values in series.items()]
    expected = [{"alertname": name, "exp_alerts": [], **check} for check in checks]
    head = {key: more.pop(key) for key in ("time_zone",) if key in more}
    file = {"rule_files": ["rules.yaml"], **head, "tests": [{"input_series": given, "alert_rule_test": expected, **more}]}
    (case,) = cases.read(yaml.safe_dump(file), "t.yaml", tmp_path)
    return trial.run(case)


def alerts(at: str, *expected: dict[str, Any]) -> dict[str, Any]:
    return {"eval_time": at, "exp_alerts": list(expected)}


class TestNotation:
    @pytest.mark.parametrize(
        ("text", "minutes"),
        [
            ("5", [5]),
            ("5x3", [5, 5, 5, 5]),
            ("0+10x3", [0, 10, 20, 30]),
            ("30-10x3", [30, 20, 10, 0]),
            ("1 _ 2", [1, None, 2]),
            ("_x3 7", [None, None, None, 7]),
            ("5x0 -1.5 1e3", [5, -1.5, 1_000]),
            ("1.5+0.5x2", [1.5, 2.0, 2.5]),
            ("", []),
        ],
    )
    def test_values_are_one_a_minute(self, text: str, minutes: list[float | None]) -> None:
        assert notation.values(text) == [None if value is None else [(value, 1)] for value in minutes]

    def test_a_minute_may_have_many_samples(self) -> None:
        assert notation.values("900*20 900*19|5000x1") == [[(900, 20)], [(900, 19), (5_000, 1)], [(900, 19), (5_000, 1)]]

    @pytest.mark.parametrize(
        "text", ["five", "5x", "x5", "5*", "5*1.5", "5|", "_5", "5+", "5+1", "nan", "inf", "5x-1", "1_000", "0x1F"]
    )
    def test_what_is_no_value_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no value"):
            notation.values(text)

    def test_a_test_has_an_end(self) -> None:
        assert len(notation.values("1x99999")) == notation.MAX_MINUTES
        for text in ("1x999999", "_x999999", "0+1x999999", "1x99999 1"):
            with pytest.raises(ValueError, match="more than 100,000 minutes"):
                notation.values(text)

    def test_a_series_is_a_metric_with_labels(self) -> None:
        assert notation.series('errors{tenant="a, \\"b\\" }", operation="x\\\\y\\nz"}') == (
            "errors", {"tenant": 'a, "b" }', "operation": "x\\y\nz"}
        )  # fmt: skip
        assert notation.series(" user.carts.left {} ") == ("user.carts.left", {})

    @pytest.mark.parametrize(
        "text",
        [
            "errors",
            'errors{tenant="a"',
            "errors{tenant}",
            "errors{tenant=a}",
            'errors{a="1" b="2"}',
            'errors{a="1",a="2"}',
            "{}",
        ],
    )
    def test_what_is_no_series_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"a series is|a label is|twice"):
            notation.series(text)


class TestJudging:
    def test_states_values_samples_and_notices(self, tmp_path: Path) -> None:
        failures = tried(
            tmp_path, {"for": "2m", "cooldown": "3m"}, {'response_time{tenant="acme"}': "100 9000*20x6 _ 100"},
            alerts("0m", {"tenant": "acme", "state": "inactive", "value": 100, "samples": 1, "notified": False}),
            alerts("1m", {"tenant": "acme", "state": "pending", "value": 9_000, "samples": 20, "notified": False}),
            alerts("3m", {"tenant": "acme", "notified": True}),
            alerts("4m", {"tenant": "acme", "notified": False}),
            alerts("6m", {"tenant": "acme", "notified": True}),
            alerts("8m", {"tenant": "acme", "state": "inactive", "samples": 0, "notified": True}),
            alerts("99m"),
        )  # fmt: skip
        assert failures == []

    @pytest.mark.parametrize(
        ("expected", "said"),
        [
            ({"tenant": "acme", "state": "pending"}, "acme pending"),
            ({"tenant": "acme", "value": 8_000}, "acme firing, value 8000"),
            ({"tenant": "acme", "samples": 21}, "acme firing, 21 samples"),
            ({"tenant": "acme", "notified": False}, "acme firing, not notified"),
        ],
    )
    def test_what_does_not_hold_is_told_with_what_was(self, tmp_path: Path, expected: dict[str, Any], said: str) -> None:
        (failure,) = tried(tmp_path, {}, {'response_time{tenant="acme"}': "9000*20"}, alerts("0m", expected), name="n")
        assert failure.expected == (said,)
        assert failure.actual == ("acme firing, value 9000, 20 samples, notified (9000 > 5000)",)
        assert failure.place == "t.yaml:4: test n: alert_rule_test 1"

    def test_whoever_is_not_expected_must_be_inactive_and_whoever_is_must_be_there(self, tmp_path: Path) -> None:
        series = {f'response_time{{tenant="{tenant}"}}': "9000" for tenant in ("acme", "bolt")}
        (failure,) = tried(tmp_path, {}, series, alerts("0m", {"tenant": "acme"}, {"tenant": "cyan"}))
        assert failure.expected == ("bolt inactive", "cyan firing")
        assert [line.partition(",")[0] for line in failure.actual] == ["bolt firing", "cyan inactive"]

    def test_all_together_are_judged_by_every_series(self, tmp_path: Path) -> None:
        series = {'response_time{tenant="acme"}': "9000*2", 'response_time{tenant="bolt"}': "100*18"}
        assert tried(tmp_path, {"scope": "global"}, series, alerts("0m", {"value": 9_000, "samples": 20})) == []
        assert tried(tmp_path, {"scope": "one_tenant", "tenant": "bolt"}, series, alerts("0m")) == []

    @pytest.mark.parametrize(
        ("rule", "series", "value", "samples"),
        [
            ({"metric": "interactions", "statistic": "count"}, {'interactions{tenant="acme"}': "3"}, 3, 3),
            ({"metric": "interactions", "statistic": "rate"}, {'interactions{tenant="acme"}': "30"}, 0.5, 30),
            ({"metric": "cost", "statistic": "sum"}, {'cost{tenant="acme", model="a"}': "0.1*3", 'cost{tenant="acme", model="b"}': "1"}, 1.3, 4),
            ({"metric": "cost", "statistic": "mean", "label_filter": {"model": "a"}}, {'cost{tenant="acme", model="a"}': "0.1*3|0.5", 'cost{tenant="acme", model="b"}': "1"}, 0.2, 4),
            ({"metric": "response_time", "statistic": "min"}, {'response_time{tenant="acme"}': "7|3|9"}, 3, 3),
            ({"metric": "response_time", "statistic": "p50"}, {'response_time{tenant="acme"}': "100*9|5000*10"}, 5_000, 19),
            ({"metric": "conversations", "statistic": "count", "window": "3m"}, {'conversations{tenant="acme"}': "4x2"}, 12, 12),
            (
                {"metric": "handoff_rate", "statistic": "ratio", "window": "2m", "threshold": 0},
                {'conversations{tenant="acme"}': "5x2", 'handoff_conversations{tenant="acme"}': "1x1", 'interactions{tenant="acme"}': "9x2"}, 0.2, 18,
            ),
            ({"metric": "user.carts", "statistic": "count"}, {'user.carts{tenant="acme", shop="x"}': "5|7"}, 2, 2),
            ({"metric": "user.carts", "statistic": "max", "label_filter": {"shop": "x"}}, {'user.carts{tenant="acme", shop="x"}': "5|7", 'user.carts{tenant="acme"}': "9"}, 7, 2),
            ({"metric": "knowledge_similarity", "statistic": "mean"}, {'knowledge_similarity{tenant="acme"}': "-0.5|0.25"}, -0.125, 2),
        ],
    )  # fmt: skip
    def test_every_kind_of_metric(
        self, tmp_path: Path, rule: dict[str, Any], series: dict[str, str], value: float, samples: int
    ) -> None:
        at = f"{rule.get('window', '1m')[0]}"
        expected = {"tenant": "acme", "value": value, "samples": samples}
        assert tried(tmp_path, {"operator": "gte", "threshold": -1, **rule}, series, alerts(str(int(at) - 1), expected)) == []
        (failure,) = tried(
            tmp_path,
            {"operator": "gte", "threshold": -1, **rule},
            series,
            alerts(str(int(at) - 1), {**expected, "value": value + 0.1 + value * 0.02}),
        )
        assert f"{samples} samples" in failure.actual[0]

    def test_a_counter_of_the_users_own_says_how_often(self, tmp_path: Path) -> None:
        (tmp_path / "rules.yaml").write_text(
            yaml.safe_dump({"rules": [{**SLOW, "metric": "user.carts", "statistic": "count", "threshold": 4}]})
        )
        series = [{"series": 'user.carts{tenant="acme"}', "values": 50, "kind": "counter"}]
        test = {
            "input_series": series,
            "alert_rule_test": [{"alertname": "slow", **alerts("0m", {"tenant": "acme", "value": 50})}],
        }
        (case,) = cases.read(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}), "t", tmp_path)
        assert trial.run(case) == []

    def test_a_silent_tenant(self, tmp_path: Path) -> None:
        series = {'response_time{tenant="acme"}': "_ 100 _x9"}
        assert (
            tried(
                tmp_path,
                {"no_data": "alert"},
                series,
                alerts("0m"),
                alerts("1m"),
                alerts("2m", {"tenant": "acme", "samples": 0}),
            )
            == []
        )

    def test_a_change_and_a_budget(self, tmp_path: Path) -> None:
        rise = {"change_against": "day", "window": "1m", "threshold": 50, "statistic": "p50"}
        series = {'response_time{tenant="acme"}': "1000x1439 1400 1600", 'response_time{tenant="bolt"}': "_x1440 5000x1"}
        assert tried(tmp_path, rise, series, alerts("1d"), alerts("1441m", {"tenant": "acme", "value": 60})) == []
        spent = {"metric": "cost", "statistic": "sum", "budget": "day", "threshold": 10}
        series = {'cost{tenant="acme", model="m"}': "6 6 _x58 6 6"}
        checks = [alerts("1m", {"tenant": "acme", "value": 12}), alerts("60m"), alerts("61m", {"tenant": "acme", "value": 12})]
        assert tried(tmp_path, spent, series, *checks, start="2026-03-28T22:00:00Z", time_zone="Europe/Berlin") == []
        assert len(tried(tmp_path, spent, series, *checks, start="2026-03-28T22:00:00Z", time_zone="UTC")) == 2


class TestFiles:
    GOOD = {"rule_files": [], "tests": [{"input_series": [], "alert_rule_test": []}]}

    @pytest.mark.parametrize(
        ("series", "check", "message"),
        [
            ({}, {}, "input_series 1: series: this is missing"),
            ({"series": "errors", "values": "1"}, {}, "input_series 1: a series is a metric with labels"),
            ({"series": 'errors{operation="x"}', "values": "1"}, {}, "a series names its tenant"),
            ({"series": 'errors{tenant="a", model="x"}', "values": "1"}, {}, "errors has no label model; it has operation"),
            ({"series": 'gone{tenant="a"}', "values": "1"}, {}, "there is no metric 'gone'"),
            ({"series": 'error_rate{tenant="a"}', "values": "1"}, {}, "error_rate is computed from other metrics: write series of interactions_failed, interactions"),
            ({"series": 'errors{tenant="a"}', "values": "1.5"}, {}, "errors is counted: a whole number"),
            ({"series": 'errors{tenant="a"}', "values": "-1"}, {}, "errors is counted: a whole number"),
            ({"series": 'conversations{tenant="a"}', "values": "100001"}, {}, "at most 100,000 different ones"),
            ({"series": 'response_time{tenant="a"}', "values": "-1"}, {}, "response_time cannot be -1 ms: negative"),
            ({"series": 'cost{tenant="a"}', "values": "1e30"}, {}, "too_large"),
            ({"series": 'errors{tenant="a"}', "values": "many"}, {}, "'many' is no value"),
            ({"series": 'user.x{tenant="a"}', "values": "1", "kind": "gauge"}, {}, "kind: one of counter, histogram, not 'gauge'"),
            (None, {"eval_time": "5m", "alertname": "nobody", "exp_alerts": []}, "alert_rule_test 1: alertname: one of slow, not 'nobody'"),
            (None, {"eval_time": "soon", "alertname": "slow", "exp_alerts": []}, "eval_time: a stretch of time"),
            (None, {"eval_time": "5m", "alertname": "slow"}, "exp_alerts: this is missing"),
            (None, {"eval_time": "5m", "alertname": "slow", "exp_alerts": [{"tenant": 4}]}, "exp_alerts 1: tenant: a text, not 4"),
            (None, {"eval_time": "5m", "alertname": "slow", "exp_alerts": [{"state": "resolved"}]}, "state: one of inactive, pending, firing"),
            (None, {"eval_time": "5m", "alertname": "slow", "exp_alerts": [{}, {}]}, "exp_alerts: all tenants is there twice"),
            (None, {"eval_time": "5m", "alertname": "slow", "exp_alerts": [], "exp_annotations": {}}, "exp_annotations: there is no such key"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named_with_its_place(self, tmp_path: Path, series: Any, check: Any, message: str) -> None:
        (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"rules": [SLOW]}))
        test = {"name": "n", "input_series": [] if series is None else [series], "alert_rule_test": [check] if check else []}
        with pytest.raises(RuleFileError) as caught:
            cases.read(yaml.safe_dump({"rule_files": ["rules.yaml"], "tests": [test]}), "t.yaml", tmp_path)
        assert caught.value.found[0].startswith("t.yaml:4: test n: ")
        assert message in str(caught.value)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"rule_files": ["nowhere.yaml"]}, "nowhere.yaml: this cannot be read"),
            ({"rule_files": "rules.yaml"}, "rule_files: a list of names"),
            ({"tests": {}}, "tests: a list"),
            ({"time_zone": "Mars/Olympus"}, "time_zone: there is no time zone"),
            ({"interval": "1m"}, "interval: there is no such key"),
            ({"tests": [{"input_series": [], "alert_rule_test": [], "start": "2026-01-05"}]}, "start: a whole minute with a time zone"),
            ({"tests": [{"input_series": [], "alert_rule_test": [], "start": "2026-01-05T00:00:30Z"}]}, "start: a whole minute"),
            ({"tests": [7]}, "t.yaml:5: this is a mapping, not 7"),
        ],
    )  # fmt: skip
    def test_so_is_what_is_wrong_with_the_file(self, tmp_path: Path, change: Any, message: str) -> None:
        with pytest.raises(RuleFileError) as caught:
            cases.read("\n\n" + yaml.safe_dump({**self.GOOD, **change}), "t.yaml", tmp_path)
        assert message in str(caught.value)


class TestCommand:
    @pytest.fixture
    def example(self, tmp_path: Path) -> Path:
        """The files that the page shows, each under the name that its first line says."""
        blocks = re.findall(r"```yaml\n# (\S+)\n(.*?)```", (DOCS / "rules-as-code.md").read_text(), re.DOTALL)
        for name, text in blocks:
            (tmp_path / name).write_text(text)
        assert [name for name, _ in blocks] == ["rules.yaml", "rules_test.yaml"]
        return tmp_path / "rules_test.yaml"

    def test_the_example_of_the_page_passes_without_a_database(self, example: Path) -> None:
        out = io.StringIO()
        call_command("rules", "test", str(example), stdout=out)
        assert out.getvalue().splitlines()[-1] == "1 passed, 0 failed"

    def test_a_failing_test_shows_expected_and_actual_and_exits_1(self, example: Path) -> None:
        example.write_text(example.read_text().replace("state: pending", "state: firing"))
        out = io.StringIO()
        with pytest.raises(SystemExit) as caught:
            call_command("rules", "test", str(example), stdout=out)
        assert caught.value.code == 1
        shown = out.getvalue()
        assert "FAILED  a slow provider" in shown
        assert "alert_rule_test 2: rule refunds-slow at 5m" in shown
        assert "expected  acme firing" in shown
        assert "actual    acme pending, value 6000" in shown
        assert "0 passed, 1 failed" in shown
        out = io.StringIO()
        with pytest.raises(SystemExit):
            call_command("rules", "test", str(example), "--json", stdout=out)
        (test,) = json.loads(out.getvalue())["tests"]
        assert (test["passed"], test["failures"][0]["eval_time"], test["failures"][0]["expected"]) == (
            False,
            "5m",
            ["acme firing"],
        )

    def test_a_file_that_cannot_be_read_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(CommandError, match="this cannot be read"):
            call_command("rules", "test", str(tmp_path / "nowhere.yaml"))
