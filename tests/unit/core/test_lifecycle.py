from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from apps.monitoring.core import lifecycle
from apps.monitoring.core.lifecycle import Event, State
from apps.monitoring.core.rules import Rule, judge

RULE = Rule(name="slow", metric="response_time", statistic="p95", operator="gt", threshold=100.0, min_samples=1)

TAKEN_ON = State(status=lifecycle.Status.FIRING, since=0, notified_at=0, announced=True, acknowledged="warning")
"""Announced, and acknowledged as a warning."""

BAD, FINE, BETWEEN, NONE = 101.0, 50.0, 90.0, None


def run(rule: Rule, values: list[float | None], held: dict[int, str] | None = None) -> list[tuple[int, Event]]:
    state, told = lifecycle.NEW, []
    for minute, value in enumerate(values):
        verdict = judge(rule, value, 0 if value is None else 10)
        state, events = lifecycle.step(rule, state, verdict, minute, (held or {}).get(minute))
        told += [(minute, event) for event in events]
    return told


def states(rule: Rule, values: list[float | None], held: dict[int, str] | None = None) -> list[tuple[int, str]]:
    return [(minute, event.state.value) for minute, event in run(rule, values, held) if event.changed]


def notices(rule: Rule, values: list[float | None], held: dict[int, str] | None = None) -> list[tuple[int, str]]:
    return [(minute, event.notice.value) for minute, event in run(rule, values, held) if event.notice is not None]


@pytest.mark.parametrize(
    ("change", "values", "found"),
    [
        ({}, [FINE, BAD, BAD, FINE], [(1, "firing"), (3, "resolved")]),
        ({}, [NONE] * 5, []),
        ({}, [BAD, NONE], [(0, "firing"), (1, "resolved")]),
        ({"no_data": "keep"}, [BAD, NONE, NONE, FINE], [(0, "firing"), (3, "resolved")]),
        ({"no_data": "alert"}, [FINE, NONE, FINE], [(1, "firing"), (2, "resolved")]),
        ({"pending_for": 2}, [BAD, BAD, BAD, FINE], [(0, "pending"), (2, "firing"), (3, "resolved")]),
        ({"pending_for": 2}, [BAD, BAD, FINE, BAD], [(0, "pending"), (2, "inactive"), (3, "pending")]),
        ({"pending_for": 2}, [BAD, BAD, NONE, BAD], [(0, "pending"), (2, "inactive"), (3, "pending")]),
        ({"pending_for": 2, "no_data": "keep"}, [BAD, NONE, NONE, BAD], [(0, "pending"), (3, "firing")]),
        (
            {"pending_for": 2, "recovery_threshold": 80.0},
            [BAD, BETWEEN, BAD],
            [(0, "pending"), (1, "inactive"), (2, "pending")],
        ),
        ({"recovery_threshold": 80.0}, [BAD, BETWEEN, BETWEEN, FINE], [(0, "firing"), (3, "resolved")]),
        ({"keep_firing_for": 2}, [BAD, FINE, FINE, FINE], [(0, "firing"), (3, "resolved")]),
        ({"keep_firing_for": 2}, [BAD, FINE, FINE, BAD, FINE, FINE, FINE], [(0, "firing"), (6, "resolved")]),
        (
            {"keep_firing_for": 1, "recovery_threshold": 80.0},
            [BAD, FINE, BETWEEN, FINE, FINE],
            [(0, "firing"), (4, "resolved")],
        ),
        ({"keep_firing_for": 1, "no_data": "keep"}, [BAD, FINE, NONE, FINE], [(0, "firing"), (3, "resolved")]),
    ],
)
def test_the_states(change: dict[str, Any], values: list[float | None], found: list[tuple[int, str]]) -> None:
    assert states(replace(RULE, **change), values) == found


def test_a_firing_rule_is_told_once_and_its_end_once() -> None:
    assert notices(RULE, [BAD] * 10 + [FINE] * 5) == [(0, "firing"), (10, "resolved")]


def test_while_it_keeps_firing_one_reminder_goes_out_each_cooldown() -> None:
    assert notices(RULE, [BAD] * 46) == [(0, "firing"), (15, "reminder"), (30, "reminder"), (45, "reminder")]


def test_without_a_cooldown_nothing_is_held_back_and_nobody_reminded() -> None:
    rule = replace(RULE, cooldown=0)
    assert notices(rule, [BAD, BAD, FINE, BAD, FINE]) == [(0, "firing"), (2, "resolved"), (3, "firing"), (4, "resolved")]


def test_a_flapping_rule_is_told_once_a_cooldown_and_every_announced_end_is_told() -> None:
    assert notices(RULE, [BAD, FINE] * 16) == [(0, "firing"), (1, "resolved"), (16, "firing"), (17, "resolved")]


def test_what_the_cooldown_holds_back_is_in_the_history_with_its_reason() -> None:
    held = [event for minute, event in run(RULE, [BAD, FINE, BAD]) if minute == 2]
    assert [(event.changed, event.notice) for event in held] == [(True, None)]
    assert held[0].reason == "101 > 100; held back: cooldown until 1970-01-01T00:15:00Z"


def test_a_firing_that_was_held_back_is_announced_when_the_cooldown_is_over() -> None:
    assert notices(RULE, [BAD, FINE] + [BAD] * 20) == [(0, "firing"), (1, "resolved"), (15, "firing")]


def test_the_end_of_what_was_never_announced_is_not_told() -> None:
    events = run(RULE, [BAD, FINE, BAD, FINE])
    assert events[-1][1].notice is None
    assert "never announced" in events[-1][1].reason


def test_in_a_held_minute_nobody_is_told_and_the_states_go_on() -> None:
    silence = dict.fromkeys(range(1, 4), "silence 7")
    assert notices(RULE, [FINE, BAD, BAD, BAD, BAD], silence) == [(4, "firing")]
    assert states(RULE, [FINE, BAD, BAD, BAD, BAD], silence) == [(1, "firing")]
    assert "held back: silence 7" in run(RULE, [FINE, BAD], silence)[0][1].reason


def test_an_end_that_was_held_back_is_told_when_it_may_be() -> None:
    assert notices(RULE, [BAD, FINE, FINE, FINE], {1: "silence", 2: "silence"}) == [(0, "firing"), (3, "resolved")]


def test_an_end_that_was_held_back_is_told_before_the_next_beginning() -> None:
    silence = dict.fromkeys(range(1, 20), "silence")
    found = notices(RULE, [BAD] + [FINE] * 19 + [BAD], silence)
    assert found == [(0, "firing"), (20, "resolved"), (20, "firing")]


def test_an_end_that_was_held_back_is_told_although_the_rule_fires_again_under_the_same_hold() -> None:
    silence = dict.fromkeys(range(1, 5), "silence")
    told = [
        (minute, event.notice, event.late) for minute, event in run(RULE, [BAD, FINE] + [BAD] * 14, silence) if event.notice
    ]
    assert told == [
        (0, lifecycle.Notice.FIRING, False),
        (5, lifecycle.Notice.RESOLVED, True),
        (15, lifecycle.Notice.FIRING, False),
    ]


def test_an_end_that_was_held_back_is_told_before_the_new_beginning_of_the_same_minute() -> None:
    silence = dict.fromkeys(range(1, 5), "silence")
    rule = replace(RULE, cooldown=2)
    assert notices(rule, [BAD, FINE, BAD, BAD, BAD, BAD, FINE], silence) == [
        (0, "firing"),
        (5, "resolved"),
        (5, "firing"),
        (6, "resolved"),
    ]


def test_a_second_episode_that_was_never_announced_ends_without_a_word_and_the_first_is_still_told_to_have_ended() -> None:
    silence = dict.fromkeys(range(1, 4), "silence")
    events = [(minute, event) for minute, event in run(RULE, [BAD, FINE, BAD, FINE, FINE], silence) if minute >= 3]
    assert [(minute, event.changed, event.notice, event.late) for minute, event in events] == [
        (3, True, None, False),
        (4, False, lifecycle.Notice.RESOLVED, True),
    ]


def test_a_reminder_that_is_held_back_is_in_the_history() -> None:
    held = [event for minute, event in run(RULE, [BAD] * 16, {15: "silence"}) if minute == 15]
    assert [(event.notice, event.reason) for event in held] == [(None, "reminder held back: silence")]


def test_an_acknowledged_alert_is_not_reminded_of_and_its_end_is_told() -> None:
    _, events = lifecycle.step(RULE, TAKEN_ON, judge(RULE, BAD, 10), 15)
    assert events == []
    after, events = lifecycle.step(RULE, TAKEN_ON, judge(RULE, FINE, 10), 16)
    assert [event.notice for event in events] == [lifecycle.Notice.RESOLVED]
    assert not after.acknowledged


def test_a_severity_that_rises_ends_an_acknowledgement_and_is_told() -> None:
    after, events = lifecycle.step(replace(RULE, severity="critical"), TAKEN_ON, judge(RULE, BAD, 10), 20)
    (event,) = events
    assert (event.state, event.changed, event.notice) == (lifecycle.Status.FIRING, False, lifecycle.Notice.REMINDER)
    assert event.reason == "101 > 100; the severity rose from warning to critical, which ends the acknowledgement"
    assert (after.acknowledged, after.notified_at, after.announced) == ("", 20, True)


@pytest.mark.parametrize(
    ("severity", "acknowledged", "ends"),
    [
        ("info", "warning", False),
        ("warning", "warning", False),
        ("error", "warning", True),
        ("critical", "warning", True),
        ("critical", "critical", False),
        ("error", "critical", False),
        ("info", "gone", True),
        ("gone", "info", False),
    ],
)
def test_an_acknowledgement_is_of_a_severity_and_of_what_is_milder(severity: str, acknowledged: str, *, ends: bool) -> None:
    state = replace(TAKEN_ON, acknowledged=acknowledged)
    after, events = lifecycle.step(replace(RULE, severity=severity), state, judge(RULE, BAD, 10), 40)
    assert (after.acknowledged == "", bool(events)) == (ends, ends)


def test_within_the_cooldown_a_severity_that_rises_ends_the_acknowledgement_and_is_told_when_the_cooldown_is_over() -> None:
    rule, state = replace(RULE, severity="critical"), replace(TAKEN_ON, notified_at=10)
    told = []
    for minute in range(20, 30):
        state, events = lifecycle.step(rule, state, judge(rule, BAD, 10), minute)
        told += [(minute, event.notice, event.reason) for event in events]
    rose = "the severity rose from warning to critical, which ends the acknowledgement"
    assert told == [
        (20, None, f"{rose}; held back: cooldown until 1970-01-01T00:25:00Z"),
        (25, lifecycle.Notice.REMINDER, "still firing after 15 minutes: 101 > 100"),
    ]


def test_what_was_held_back_and_is_taken_on_meanwhile_is_told_to_nobody_nor_is_its_end() -> None:
    state = replace(TAKEN_ON, announced=False)
    for minute in (14, 15, 40):
        assert lifecycle.step(RULE, state, judge(RULE, BAD, 10), minute) == (state, [])
    after, (event,) = lifecycle.step(RULE, state, judge(RULE, FINE, 10), 41)
    assert event.notice is None
    assert event.reason.endswith("; its firing was never announced")
    assert after.acknowledged == ""


def test_what_was_held_back_and_has_become_worse_than_what_was_taken_on_is_told_when_it_may_be() -> None:
    rule, state = replace(RULE, severity="critical"), replace(TAKEN_ON, announced=False)
    assert lifecycle.step(rule, state, judge(rule, BAD, 10), 14) == (state, [])
    after, (event,) = lifecycle.step(rule, state, judge(rule, BAD, 10), 15)
    rose = "the severity rose from warning to critical, which ends the acknowledgement"
    assert (event.notice, event.reason) == (lifecycle.Notice.FIRING, f"101 > 100; {rose}")
    assert (after.announced, after.notified_at, after.acknowledged) == (True, 15, "")


@pytest.mark.parametrize("cooldown", [0, 15])
def test_under_a_silence_it_stays_acknowledged_and_the_rise_is_told_when_the_silence_ends(cooldown: int) -> None:
    rule = replace(RULE, severity="critical", cooldown=cooldown)
    state, events = lifecycle.step(rule, TAKEN_ON, judge(rule, BAD, 10), 20, "silence 7")
    assert (state.acknowledged, events) == ("warning", [])
    state, events = lifecycle.step(rule, state, judge(rule, BAD, 10), 21)
    assert (state.acknowledged, [event.notice for event in events]) == ("", [lifecycle.Notice.REMINDER])


def test_the_end_of_what_has_become_worse_is_told_as_an_end_alone() -> None:
    after, events = lifecycle.step(replace(RULE, severity="critical"), TAKEN_ON, judge(RULE, FINE, 10), 20)
    assert [event.notice for event in events] == [lifecycle.Notice.RESOLVED]
    assert after.acknowledged == ""


def test_where_no_channel_is_enabled_nothing_is_told_and_no_cooldown_starts() -> None:
    deaf = replace(RULE, heard=False)
    state, (event,) = lifecycle.step(deaf, lifecycle.NEW, judge(RULE, BAD, 10), 0)
    assert (event.notice, event.reason) == (None, "101 > 100; held back: no channel is enabled")
    assert (state.announced, state.notified_at) == (False, None)
    state, (event,) = lifecycle.step(RULE, state, judge(RULE, BAD, 10), 1)
    assert (event.notice, event.reason) == (lifecycle.Notice.FIRING, "101 > 100; no longer held back")


def test_the_end_of_what_was_announced_does_not_ask_for_the_channels_of_today() -> None:
    deaf = replace(RULE, heard=False)
    state, _ = lifecycle.step(RULE, lifecycle.NEW, judge(RULE, BAD, 10), 0)
    state, events = lifecycle.step(deaf, state, judge(RULE, BAD, 10), 15)
    assert [(event.notice, event.reason) for event in events] == [(None, "reminder held back: no channel is enabled")]
    _, events = lifecycle.step(deaf, state, judge(RULE, FINE, 10), 16)
    assert [event.notice for event in events] == [lifecycle.Notice.RESOLVED]


def test_since_is_the_first_minute_of_the_breach() -> None:
    state = lifecycle.NEW
    for minute in (7, 8, 9):
        state, _ = lifecycle.step(replace(RULE, pending_for=2), state, judge(RULE, BAD, 10), minute)
    assert (state.status, state.since) == (lifecycle.Status.FIRING, 7)


@pytest.mark.parametrize(
    ("state", "idle"),
    [
        (State(), True),
        (State(notified_at=0), True),
        (State(notified_at=6), False),
        (State(owed=True, notified_at=0), False),
        (State(status=lifecycle.Status.PENDING, since=20), False),
        (State(status=lifecycle.Status.FIRING, since=0), False),
    ],
)
def test_a_state_is_idle_when_forgetting_it_changes_nothing(state: State, *, idle: bool) -> None:
    assert state.is_idle(20, 15) is idle


@pytest.mark.parametrize(
    ("state", "breach", "stays"),
    [
        (State(status=lifecycle.Status.FIRING, since=0, notified_at=10, announced=True), True, True),
        (State(status=lifecycle.Status.FIRING, since=0, notified_at=10, announced=True), False, False),
        (State(status=lifecycle.Status.FIRING, since=0, notified_at=10, announced=True, recovering_since=19), True, False),
        (State(status=lifecycle.Status.FIRING, since=0, notified_at=10, announced=True, owed=True), True, False),
        (State(status=lifecycle.Status.FIRING, since=0, notified_at=10), True, False),
        (State(status=lifecycle.Status.FIRING, since=0, notified_at=5, announced=True), True, False),
        (TAKEN_ON, True, True),
        (replace(TAKEN_ON, acknowledged="info"), True, False),
        (State(status=lifecycle.Status.PENDING, since=19), True, True),
        (State(status=lifecycle.Status.PENDING, since=18), True, False),
        (State(status=lifecycle.Status.PENDING, since=19), False, False),
        (State(notified_at=6), False, True),
        (State(notified_at=6), True, False),
        (State(notified_at=5), False, False),
        (State(notified_at=6, owed=True), False, False),
    ],
)
def test_a_state_stays_when_nothing_is_due(state: State, *, breach: bool, stays: bool) -> None:
    rule = replace(RULE, pending_for=2)
    assert lifecycle.stays(rule, state, 20, breach=breach) is stays
