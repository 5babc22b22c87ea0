"""A backtest tells what evaluation would have told: compared with the history that evaluation wrote of the same minutes."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from apps.monitoring.alerts import defaults
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.core.clock import isoformat
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, EvaluationProgress, Notification
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up
from tests.oracle import made, timeline
from tests.oracle.recording import read

pytestmark = pytest.mark.usefixtures("stores")

FIELDS = ("minute", "state", "value", "samples", "notified", "reason")


def backtest(name: str, *arguments: str, start: datetime, end: datetime) -> dict[str, Any]:
    out = io.StringIO()
    call_command("backtest", name, "--json", f"--from={start.isoformat()}", f"--to={end.isoformat()}", *arguments, stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def told(answer: dict[str, Any], kind: str) -> list[tuple[Any, ...]]:
    return [(one["tenant"], *(line[field] for field in FIELDS)) for one in answer["instances"] for line in one[kind]]


def stored(name: str, event: str) -> list[tuple[Any, ...]]:
    lines = AlertTransition.objects.filter(rule_name=name, event=event).order_by("tenant", "minute", "id")
    return [
        (
            line.tenant or None,
            f"{line.minute:%Y-%m-%dT%H:%M:%SZ}",
            line.state,
            line.value,
            line.samples,
            line.notified,
            line.reason,
        )
        for line in lines
    ]


def everything_written() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in (Alert, AlertState, AlertTransition, Notification, AlertRule)}


VARIANTS: dict[str, dict[str, Any]] = {
    "slow-for-a-while": {"threshold": 3_000, "for_minutes": 3, "keep_firing_for_minutes": 2, "recovery_threshold": 1_000},
    "slowest": {"statistic": "max", "window_minutes": 1, "min_samples": 1, "threshold": 2_900, "cooldown_minutes": 0},
    "quickest": {"statistic": "min", "operator": "lt", "threshold": 300, "window_minutes": 2, "min_samples": 2},
    "median-of-all": {"statistic": "p50", "scope": "global", "threshold": 1_500, "window_minutes": 7},
    "mean-of-birch": {"statistic": "mean", "scope": "one_tenant", "tenant": "birch", "threshold": 1_600, "no_data": "keep"},
    "answers-of-an-hour": {"statistic": "count", "operator": "lte", "window_minutes": 61, "threshold": 100, "min_samples": 0},
    "answers-a-second": {"statistic": "rate", "operator": "gte", "window_minutes": 3, "threshold": 0.08, "scope": "global"},
    "nobody-answers": {"statistic": "sum", "no_data": "alert", "threshold": 1e9, "window_minutes": 1, "min_samples": 2},
    "cost-of-model-a": {"metric": "cost", "statistic": "sum", "label_filter": {"model": "model-a"}, "threshold": 0.5},
    "mean-cost": {"metric": "cost", "statistic": "mean", "operator": "eq", "threshold": 0.001, "window_minutes": 4},
    "busy": {"metric": "conversations", "statistic": "count", "threshold": 12, "min_samples": 1, "window_minutes": 6},
    "hit-rate-of-all": {"metric": "knowledge_hit_rate", "statistic": "ratio", "operator": "lt", "threshold": 0.8, "scope": "global"},
    "cost-a-conversation-of-cedar": {
        "metric": "cost_per_conversation", "statistic": "ratio", "threshold": 0.02, "scope": "one_tenant", "tenant": "cedar",
        "no_data": "alert", "window_minutes": 2,
    },
    "nobody-of-nowhere": {"scope": "one_tenant", "tenant": "nowhere", "no_data": "alert"},
}  # fmt: skip


@pytest.fixture
def played(tmp_path: Path, settings: Any) -> tuple[Path, datetime, datetime]:
    """A recording that was replayed, rolled up and judged by every rule: its file, its start, and until where."""
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9  # as if each minute had been judged when it was over
    channel(), defaults.create_missing()
    for name, given in VARIANTS.items():
        rule(name, **{"statistic": "p95", "window_minutes": 5, "min_samples": 10, "cooldown_minutes": 15, **given})
    file = made.write(tmp_path / "made.jsonl")
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    start = end - timedelta(minutes=made.MINUTES)
    call_command("replay", str(file), start=start.isoformat(), speed="max", stdout=io.StringIO())
    roll_up(end.timestamp() + 6)
    evaluate(end.timestamp() + 6)
    progress = EvaluationProgress.objects.get()
    assert progress.next_minute == end
    return file, start, end


def test_every_rule_has_the_history_that_evaluation_wrote(played: tuple[Path, datetime, datetime]) -> None:
    file, start, end = played
    before = everything_written()
    lines = 0
    for one in AlertRule.objects.all():
        answer = backtest(one.name, start=start, end=end)
        assert told(answer, "transitions") == stored(one.name, "transition"), one.name
        assert told(answer, "reminders") == stored(one.name, "reminder"), one.name
        lines += len(stored(one.name, "transition"))
    assert lines > 150, "this recording says too little to be a test"
    assert everything_written() == before
    compare_with_the_oracle(file, start, end)


def compare_with_the_oracle(file: Path, start: datetime, end: datetime) -> None:
    """The default rules, against what the oracle works out from the recording."""
    expected = timeline.history(read(file), made.MINUTES)
    for name in {line.rule for line in expected}:
        answer = backtest(name, start=start, end=end)
        found = [
            (one["tenant"], line["minute"], line["state"], line["notified"], line["samples"])
            for one in answer["instances"]
            for line in [*one["transitions"], *one["reminders"]]
        ]
        wanted = [
            (
                line.tenant,
                f"{start + timedelta(minutes=line.minute):%Y-%m-%dT%H:%M:%SZ}",
                line.state,
                line.notified,
                line.samples,
            )
            for line in expected
            if line.rule == name
        ]
        assert sorted(found) == sorted(wanted), name


def test_nothing_has_to_be_saved_to_be_tried(played: tuple[Path, datetime, datetime]) -> None:
    _, start, end = played
    before = everything_written()
    wide = VARIANTS["slow-for-a-while"]
    same = backtest(
        "new", "--metric=response_time", "--statistic=p95", "--operator=gt", f"--threshold={wide['threshold']}", "--for=3m",
        "--keep-firing-for=2", "--recovery-threshold=1000", "--cooldown=15", "--window=5m", "--min-samples=10",
        start=start, end=end,
    )  # fmt: skip
    assert told(same, "transitions") == stored("slow-for-a-while", "transition")
    other = backtest("slow-for-a-while", "--threshold=1e9", start=start, end=end)
    assert (other["instances"], other["fired"], other["summary"]) == ([], 0, "would not have fired")
    own = backtest("slow-for-a-while", "--tenant=birch", start=start, end=end)
    assert told(own, "transitions") == [line for line in stored("slow-for-a-while", "transition") if line[0] == "birch"]
    assert everything_written() == before


def at(offset: int) -> datetime:
    return datetime.fromtimestamp((MINUTE + offset) * 60, UTC)


def test_people_read_a_line_a_tenant_and_one_for_all() -> None:
    channel()
    rule(cooldown_minutes=5)
    one = {offset: answered(ms, offset=offset) for offset, ms in enumerate([FAST, SLOW, SLOW, FAST, SLOW, FAST, *[FAST] * 9])}
    one[12] = answered(SLOW, offset=12, tenant="bolt")
    play(one, until=15)
    out = io.StringIO()
    call_command("backtest", "slow", f"--from={at(0).isoformat()}", f"--to={at(15).isoformat()}", stdout=out)
    assert out.getvalue().splitlines() == [
        f"slow from {isoformat(MINUTE)} to {isoformat(MINUTE + 15)}",
        "  acme: would have fired 2 times, 3 minutes, 1 flap",
        "  bolt: would have fired 1 time, 1 minute",
        "would have fired 3 times, 4 minutes, 1 flap",
    ]


def test_what_still_fires_counts_until_the_end_of_the_range() -> None:
    rule()
    play({0: answered(SLOW), 1: answered(SLOW, offset=1), 2: answered(SLOW, offset=2)}, until=3)
    (own,) = backtest("slow", start=at(1), end=at(3))["instances"]
    assert (own["fired"], own["firing_minutes"], len(own["transitions"])) == (1, 2, 1)


def test_a_range_ends_with_the_last_complete_minute() -> None:
    rule()
    play({0: answered(SLOW)}, until=2)
    assert backtest("slow", start=at(0), end=at(500))["to"] == isoformat(MINUTE + 2)
    with pytest.raises(CommandError, match="minutes are complete until"):
        backtest("slow", start=at(2), end=at(500))


def test_before_anything_is_rolled_up_it_says_so() -> None:
    rule()
    with pytest.raises(CommandError, match="no minute is rolled up yet"):
        backtest("slow", start=at(0), end=at(1))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threshold=nan"], "a threshold is a finite number"),
        (["--statistic=ratio"], "response_time is a histogram"),
        (["--recovery-threshold=99999"], "lies on the breaching side"),
        (["--window=31d"], "a window is 1 minute to 30 days"),
        (["--window=soon"], "a stretch of time is whole minutes"),
        (["--label-filter={"], "--label-filter is a JSON object"),
        (["--scope=one_tenant"], "names the tenant"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_with_the_reason(arguments: list[str], words: str) -> None:
    rule()
    with pytest.raises(CommandError, match=words):
        backtest("slow", *arguments, start=at(0), end=at(1))


def test_an_unknown_rule_is_named_with_what_there_is() -> None:
    rule()
    with pytest.raises(CommandError, match=r"no rule 'slo' \(there are: slow\).*needs metric"):
        backtest("slo", start=at(0), end=at(1))


def test_a_tenant_is_missed_from_its_first_minute_on() -> None:
    """Who was known by then is judged, not who is known today."""
    channel(), rule(no_data="alert")
    play({0: answered(FAST, "acme"), 3: answered(FAST, "bolt", offset=3)}, until=6)
    answer = backtest("slow", start=at(0), end=at(6))
    assert told(answer, "transitions") == stored("slow", "transition")
    later = backtest("slow", start=at(2), end=at(6))
    assert [(one["tenant"], one["transitions"][0]["minute"]) for one in later["instances"]] == [
        ("acme", isoformat(MINUTE + 2)),
        ("bolt", isoformat(MINUTE + 4)),
    ]
