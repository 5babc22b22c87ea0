"""Silences hold notifications back, not states."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.monitoring.alerts.silences import expire, firing_under
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.models import AlertRule, AlertState, AlertTransition, Notification, Silence
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, end_of, everything, forget, history, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


def silence(starts: int, ends: int, **more: Any) -> Silence:
    """Offsets of the first minute in which nothing is told, and of the first in which it is again."""
    given = {"rules": ["slow"], "author": "anna", "comment": "a deployment", **more}
    made = Silence(starts_at=to_datetime(MINUTE + starts), ends_at=to_datetime(MINUTE + ends), **given)
    made.save()
    return made


def told() -> list[tuple[int, str, int]]:
    """Minute offset, kind and number of tenants of every notification."""
    rows = Notification.objects.order_by("minute", "created_at").values_list("minute", "kind", "payload__count")
    return [(to_minute(minute) - MINUTE, kind, count) for minute, kind, count in rows]


def slow(minutes: range, *tenants: str) -> dict[int, Any]:
    """Slow answers in these minutes; what is not slow is without data, which resolves."""
    return {n: [event for tenant in tenants for event in answered(SLOW, tenant, n)] for n in minutes}


def test_a_silenced_alert_fires_in_the_history_and_is_told_when_the_silence_ends() -> None:
    channel(), rule()
    made = silence(1, 5)
    play(slow(range(8), "acme"), until=8)
    assert history() == [(0, "firing", False), (4, "firing", True)]
    first, last = AlertTransition.objects.order_by("minute")
    assert first.reason == f"9000 > 5000; held back: silence {made.pk} until 2026-01-05T00:05:00Z"
    assert (last.event, last.reason) == ("reminder", "9000 > 5000; no longer held back")
    assert told() == [(4, "firing", 1)]


def test_what_fires_and_ends_under_a_silence_is_never_told() -> None:
    channel(), rule()
    silence(1, 6)
    play(slow(range(1, 3), "acme"), until=9)
    assert history() == [(1, "firing", False), (3, "resolved", False)]
    assert told() == []


def test_the_end_of_what_was_announced_is_told_when_the_silence_ends() -> None:
    channel(), rule()
    silence(2, 7)
    play(slow(range(3), "acme"), until=9)
    assert [line for line in history() if line[1] == "resolved"] == [(3, "resolved", False), (6, "resolved", True)]
    assert told() == [(0, "firing", 1), (6, "resolved", 1)]


def test_no_reminder_leaves_under_a_silence() -> None:
    channel(), rule(cooldown_minutes=3)
    silence(2, 8)
    play(slow(range(10), "acme"), until=10)
    assert told() == [(0, "firing", 1), (7, "reminder", 1)]
    held = AlertTransition.objects.filter(reason__startswith="reminder held back: silence")
    assert [to_minute(line.minute) - MINUTE for line in held] == [3, 6]


@pytest.mark.parametrize(
    ("matchers", "spared"),
    [
        ({"rules": ["slow"]}, []),
        ({"rules": ["sl*"]}, []),
        ({"rules": ["other", "slow"]}, []),
        ({"rules": ["other"]}, ["acme", "bolt"]),
        ({"rules": ["slo"]}, ["acme", "bolt"]),
        ({"rules": [], "tenants": ["acme"]}, ["bolt"]),
        ({"rules": [], "tenants": ["a*"]}, ["bolt"]),
        ({"rules": ["slow"], "tenants": ["acme"]}, ["bolt"]),
        ({"rules": ["other"], "tenants": ["acme"]}, ["acme", "bolt"]),
        ({"rules": [], "severities": ["warning", "info"]}, []),
        ({"rules": [], "severities": ["critical"]}, ["acme", "bolt"]),
    ],
)
def test_a_silence_holds_back_what_all_its_matchers_mean(matchers: dict[str, Any], spared: list[str]) -> None:
    channel(), rule()
    silence(0, 9, **matchers)
    play(slow(range(1), "acme", "bolt"), until=1)
    named = [alert["tenant"] for row in Notification.objects.all() for alert in row.payload["alerts"]]
    assert sorted(named) == spared
    assert AlertState.objects.filter(status="firing").count() == 2


def test_a_silence_of_a_tenant_does_not_mean_all_together() -> None:
    channel(), rule(scope="global")
    silence(0, 9, rules=[], tenants=["acme"])
    play(slow(range(1), "acme"), until=1)
    assert told() == [(0, "firing", 1)]


def test_a_silence_that_expires_early_lets_go_with_the_next_minute() -> None:
    channel(), rule()
    made = silence(0, 600)
    play(slow(range(2), "acme"), until=2)
    assert told() == []
    assert firing_under(made) == 1
    assert expire(made, to_datetime(MINUTE + 2) + timedelta(seconds=40))
    assert not expire(made, to_datetime(MINUTE + 2) + timedelta(seconds=50))
    play(slow(range(2, 4), "acme"), until=4, start=2)
    assert told() == [(2, "firing", 1)]


def test_a_silence_that_has_not_begun_expires_without_ever_holding_anything_back() -> None:
    channel(), rule()
    made = silence(5, 600)
    assert expire(made, to_datetime(MINUTE))
    play(slow(range(6), "acme"), until=6)
    assert told()[0] == (0, "firing", 1)
    assert made.state(to_datetime(MINUTE)).value == "expired"


def test_a_catch_up_finds_the_silences_that_an_undisturbed_run_finds(settings: Any) -> None:
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9
    channel(), rule(), rule("each", cooldown_minutes=2)
    silence(2, 5), silence(4, 9, rules=[], tenants=["acme"]), silence(12, 14, rules=["e*"])
    minutes = {n: [*slow(range(n, n + 1), "acme", "bolt")[n]] if n % 5 else answered(FAST, "acme", n) for n in range(16)}
    play(minutes, until=18)
    undisturbed = everything()
    assert {line[7] for line in undisturbed["history"]} == {True, False}
    forget()
    for events in minutes.values():
        send(*events)
    roll_up(end_of(17))
    from apps.monitoring.alerts.evaluate import evaluate

    evaluate(end_of(17))
    assert everything() == undisturbed


def test_the_end_of_a_disabled_rule_is_held_back_as_well() -> None:
    channel(), rule()
    silence(2, 4)
    play(slow(range(1), "acme"), until=1)
    AlertRule.objects.update(enabled=False)
    play({}, until=5, start=1)
    assert told() == [(0, "firing", 1), (3, "resolved", 1)]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"rules": []}, "Name a rule"),
        ({"ends": 0}, "ends before it begins"),
        ({"severities": ["fatal"]}, "fatal"),
        ({"comment": ""}, "blank"),
        ({"tenants": ["t" * 200]}, "128"),
    ],
)
def test_a_silence_that_cannot_work_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        silence(0, given.pop("ends", 5), **given)
