"""Rules whose statements take too long, one or many of them, delay no other for long and nothing for good.

A statement may take 0.3 s here instead of 30 s.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection

from apps.monitoring.alerts import attempts
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.alerts.measure import Windows
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.rules import Rule
from apps.monitoring.models import AlertRule
from apps.monitoring.status import status
from tests.integration.alerts.judged import SLOW, answered, channel, end_of, history, play, rule
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture(autouse=True)
def tries(monkeypatch: pytest.MonkeyPatch, settings: Any) -> list[str]:
    """The names of the rules that were tried, in their order. Those that are called heavy take a minute, and in the
    one that is called unlucky the worker's time is over."""
    settings.MONITORING_RULE_TIMEOUT_SECONDS = 0.3
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9
    frame, tried = Windows.frame, []

    def slower(self: Windows, own: Rule) -> Frame:
        tried.append(own.name)
        if own.name.startswith("heavy"):
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_sleep(60)")
        if own.name == "unlucky":
            raise SoftTimeLimitExceeded
        return frame(self, own)

    monkeypatch.setattr(Windows, "frame", slower)
    return tried


def heavy(count: int) -> None:
    for number in range(count):
        rule(f"heavy-{number}")


def slow_minutes(until: int, start: int = 0) -> None:
    """They are complete and wait for being judged."""
    for offset in range(start, until):
        send(*answered(SLOW, offset=offset))
    roll_up(end_of(until - 1))


def passes(minutes: int, of: str = "") -> None:
    """Time does, for the rules in error, or those of one name, and for when they were edited last."""
    by = timedelta(minutes=minutes)
    for one in AlertRule.objects.filter(name__startswith=of).exclude(error=""):
        assert one.error_since is not None
        assert one.exhausted_at is not None
        AlertRule.objects.filter(pk=one.pk).update(
            error_since=one.error_since - by, exhausted_at=one.exhausted_at - by, updated_at=one.updated_at - by
        )


def in_error() -> int:
    return AlertRule.objects.exclude(error="").count()


def test_however_many_rules_are_slow_one_minute_judges_the_others(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    settings.MONITORING_RULE_TIMEOUT_SECONDS = 1
    monkeypatch.setattr(attempts, "MINUTE_SECONDS", 2.0)
    channel()
    heavy(9)
    rule("slow")
    slow_minutes(1)
    before = time.monotonic()
    assert evaluate(end_of(0)).minutes == 1
    took = time.monotonic() - before
    assert (in_error(), history("slow")) == (9, [(0, "firing", True)])
    assert took < 7  # 1 s, 0.5 s, 0.25 s, and 0.2 s of each of the others; it was a second of each


def test_what_is_known_to_be_slow_when_the_worker_ends_a_minute_is_left_out_of_the_next_attempt(tries: list[str]) -> None:
    channel()
    heavy(2)
    rule("slow")
    rule("unlucky")
    slow_minutes(1)
    with pytest.raises(SoftTimeLimitExceeded):
        evaluate(end_of(0))
    assert (in_error(), history("slow")) == (2, [])
    tries.clear()
    AlertRule.objects.filter(name="unlucky").update(name="lucky")
    assert evaluate(end_of(0)).minutes == 1
    assert tries == ["lucky", "slow"]
    assert history("slow") == [(0, "firing", True)]


@pytest.mark.parametrize(("failing", "pause"), [(0, 5), (20, 20), (600, 60)])
def test_a_slow_rule_is_tried_again_after_a_pause_that_grows(tries: list[str], failing: int, pause: int) -> None:
    channel()
    heavy(1)
    for minutes, expected in ((pause - 1, []), (pause + 1, ["heavy-0"])):
        tried = datetime.now(UTC) - timedelta(minutes=minutes)
        AlertRule.objects.update(
            error="OperationalError", error_since=tried - timedelta(minutes=failing), exhausted_at=tried, updated_at=tried
        )
        tries.clear()
        play({minutes: answered(SLOW, offset=minutes)}, until=minutes + 1, start=minutes)
        assert tries == expected


def test_of_the_slow_rules_one_is_tried_a_minute_that_whose_turn_came_first(tries: list[str]) -> None:
    heavy(3)
    rule("slow")
    slow_minutes(1)
    evaluate(end_of(0))
    assert in_error() == 3
    passes(minutes=1, of="heavy-1")
    passes(minutes=6)
    tries.clear()
    slow_minutes(4, start=1)
    assert evaluate(end_of(3)).minutes == 3
    assert [name for name in tries if name != "slow"] == ["heavy-1", "heavy-0", "heavy-2"]


def test_minutes_in_which_a_slow_rule_is_not_tried_leave_its_alert_alone_and_it_goes_on_when_it_is_mended() -> None:
    channel()
    rule("slow")
    play({0: answered(SLOW)}, until=1)
    AlertRule.objects.update(name="heavy", cooldown_minutes=0)
    play({}, until=3, start=1)
    assert (in_error(), history("slow")) == (1, [(0, "firing", True)])
    assert "rule heavy is in error; see it in the admin" in status(datetime.now(UTC)).problems
    AlertRule.objects.update(name="slow")
    play({}, until=5, start=3)
    assert history("slow") == [(0, "firing", True)]
    passes(minutes=5)
    play({}, until=6, start=5)
    one = AlertRule.objects.get()
    assert (one.error, one.error_since, one.exhausted_at) == ("", None, None)
    assert history("slow") == [(0, "firing", True), (5, "resolved", True)]


def test_an_edit_may_have_mended_a_slow_rule_so_it_is_tried_at_once() -> None:
    heavy(1)
    play({0: answered(SLOW)}, until=1)
    assert in_error() == 1
    one = AlertRule.objects.get()
    one.name = "slow"
    one.save()
    play({1: answered(SLOW, offset=1)}, until=2, start=1)
    assert in_error() == 0
    assert history("slow") == [(1, "firing", False)]


def test_a_slow_rule_that_is_switched_off_ends_what_it_has_open_with_the_next_minute() -> None:
    channel()
    rule("slow")
    play({0: answered(SLOW)}, until=1)
    AlertRule.objects.update(name="heavy")
    play({}, until=2, start=1)
    assert in_error() == 1
    AlertRule.objects.update(enabled=False)
    play({}, until=3, start=2)
    assert in_error() == 0
    assert history("slow") == [(0, "firing", True)]
    assert history("heavy") == [(2, "resolved", True)]


def test_a_rule_that_fails_at_once_is_tried_each_minute() -> None:
    channel()
    bad = rule("slow")
    AlertRule.objects.filter(pk=bad.pk).update(metric="no_such_metric")
    play({0: answered(SLOW)}, until=1)
    assert in_error() == 1
    AlertRule.objects.filter(pk=bad.pk).update(metric="response_time")
    play({1: answered(SLOW, offset=1)}, until=2, start=1)
    assert (in_error(), history("slow")) == (0, [(1, "firing", True)])
