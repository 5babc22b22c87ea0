"""What each field of a rule does, from recorded minutes to the history and the notification."""

from __future__ import annotations

from typing import Any

import pytest

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.rules import MAX_WINDOW, Severity
from apps.monitoring.models import Alert, AlertTransition, Channel, EvaluationProgress, Notification
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, end_of, history, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import compact, roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


def pattern(letters: str, **more: Any) -> dict[int, Any]:
    """A minute a letter: slow, middling, fast, or nothing."""
    times = {"s": SLOW, "m": 4_000.0, "f": FAST}
    return {offset: answered(times[letter], offset=offset, **more) for offset, letter in enumerate(letters) if letter != "-"}


@pytest.mark.parametrize(
    ("fields", "minutes", "found"),
    [
        ({}, "fsssf", [(1, "firing"), (4, "resolved")]),
        ({"for_minutes": 2}, "fsssf", [(1, "pending"), (3, "firing"), (4, "resolved")]),
        ({"for_minutes": 3}, "fsssf", [(1, "pending"), (4, "inactive")]),
        ({"keep_firing_for_minutes": 2}, "sfsfff", [(0, "firing"), (5, "resolved")]),
        ({"recovery_threshold": 3_000.0}, "smmmf", [(0, "firing"), (4, "resolved")]),
        ({"recovery_threshold": 3_000.0}, "mmm", []),
        ({"operator": "lt", "threshold": 1_000.0, "recovery_threshold": 5_000.0}, "sfms", [(1, "firing"), (3, "resolved")]),
        ({"min_samples": 2}, "sss", []),
        ({"min_samples": 2, "window_minutes": 2}, "ss-", [(1, "firing"), (2, "resolved")]),
        ({"window_minutes": 3}, "sff-", [(0, "firing"), (3, "resolved")]),
        ({"no_data": "keep"}, "s--f", [(0, "firing"), (3, "resolved")]),
        ({"no_data": "alert"}, "f--f", [(1, "firing"), (3, "resolved")]),
        ({"no_data": "ok"}, "s--s", [(0, "firing"), (1, "resolved"), (3, "firing")]),
    ],
)
def test_when_it_fires_and_ends(fields: dict[str, Any], minutes: str, found: list[tuple[int, str]]) -> None:
    rule(**fields)
    play(pattern(minutes), until=len(minutes))
    assert [(minute, state) for minute, state, _ in history()] == found


def test_while_it_keeps_firing_there_is_one_reminder_each_cooldown() -> None:
    channel()
    rule(cooldown_minutes=3)
    play(pattern("sssssssf"), until=8)
    kinds = Notification.objects.order_by("minute").values_list("minute", "kind")
    assert [(int(at.timestamp() // 60) - MINUTE, kind) for at, kind in kinds] == [
        (0, "firing"), (3, "reminder"), (6, "reminder"), (7, "resolved")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("minutes", "said"),
    [
        ("sssf", "max of response_time is 100 ms, no longer > 5 s over 1 minute; it lasted 3 minutes"),
        ("s-", "no data; it lasted 1 minute"),
    ],
)
def test_an_end_says_how_it_is_now_and_how_long_it_lasted(minutes: str, said: str) -> None:
    channel()
    rule()
    play(pattern(minutes), until=len(minutes))
    assert Notification.objects.get(kind="resolved").payload["text"] == f"slow is resolved for acme: {said}."


@pytest.mark.parametrize(
    ("fields", "tenants"),
    [
        ({"scope": "every_tenant"}, {"acme", "bolt"}),
        ({"scope": "one_tenant", "tenant": "bolt"}, {"bolt"}),
        ({"scope": "global"}, {""}),
        ({"metric": "cost", "statistic": "sum", "threshold": 0.5, "label_filter": {"model": "mini"}}, {"bolt"}),
        ({"metric": "cost", "statistic": "sum", "threshold": 0.5, "label_filter": {"model": "maxi"}}, set()),
    ],
)
def test_whom_it_judges(fields: dict[str, Any], tenants: set[str]) -> None:
    rule(**fields)
    play({0: [
        *answered(SLOW, "acme", estimated_cost=1.0, model_used="gpt-4o"),
        *answered(SLOW, "bolt", estimated_cost=1.0, model_used="mini"),
        *answered(FAST, "cyan", estimated_cost=0.1, model_used="mini"),
    ]}, until=1)  # fmt: skip
    assert set(Alert.objects.values_list("tenant", flat=True)) == tenants


@pytest.mark.parametrize("severity", list(Severity))
def test_what_it_says_and_to_whom(severity: str) -> None:
    channel()
    pager = Channel.objects.create(name="pager", kind="log")
    made = rule(
        severity=severity,
        message_template="{rule} ({severity}) of {tenant}: {value} > {threshold} from {samples} over {window}",
        runbook_url="https://runbooks.example/slow",
    )
    made.channels.set([pager])
    play(pattern("s"), until=1)
    (told,) = Notification.objects.all()
    assert told.channel == pager
    assert told.payload["text"] == f"slow ({severity}) of acme: 9000 > 5000 from 1 over 1 minute"
    assert told.payload["links"]["runbook"] == "https://runbooks.example/slow"
    assert (told.payload["rule"]["severity"], Alert.objects.get().severity) == (severity, severity)


def test_a_window_of_thirty_days_fires_and_ends_to_the_minute() -> None:
    """One slow answer lies in it for exactly thirty days, first as a minute, then in an hour and a day."""
    rule(window_minutes=MAX_WINDOW)
    for start, end, answer in (
        (0, 3, answered(SLOW)),
        (MAX_WINDOW - 3, MAX_WINDOW + 3, answered(FAST, offset=MAX_WINDOW - 10)),
    ):
        send(*answer)
        roll_up(end_of(end))
        compact()
        begin = to_datetime(MINUTE + start)
        EvaluationProgress.objects.update_or_create(id=1, defaults={"next_minute": begin, "ran_at": begin})
        evaluate(end_of(end))
    lines = AlertTransition.objects.filter(event="transition").values_list("minute", "state")
    assert list(lines) == [(to_datetime(MINUTE), "firing"), (to_datetime(MINUTE + MAX_WINDOW), "resolved")]
    assert AlertTransition.objects.get(state="resolved").value == FAST
