"""What an edit does to what is open: each kind of edit, and each way in."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.alerts.rulefile.apply import apply
from apps.monitoring.core.clock import to_minute
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, Notification
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, end_of, history, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


def slow(start: int, end: int) -> dict[int, Any]:
    return {offset: answered(SLOW, offset=offset) for offset in range(start, end)}


def edit(**changes: Any) -> None:
    made = AlertRule.objects.get(name="slow")
    for field, value in changes.items():
        setattr(made, field, value)
    made.save()


def told() -> list[tuple[int, str]]:
    return [
        (to_minute(at) - MINUTE, kind) for at, kind in Notification.objects.order_by("minute").values_list("minute", "kind")
    ]


def reason() -> str:
    return AlertTransition.objects.latest("minute", "id").reason


@pytest.fixture
def firing() -> AlertRule:
    channel()
    made = rule()
    play(slow(0, 2), until=2)
    assert history() == [(0, "firing", True)]
    return made


@pytest.mark.parametrize(
    ("changes", "ends"),
    [
        ({"threshold": 10_000.0}, True),
        ({"threshold": 8_000.0}, False),
        ({"operator": "lt"}, True),
        ({"min_samples": 50}, True),
        ({"min_samples": 50, "no_data": "keep"}, False),
        ({"window_minutes": 3}, False),
        ({"severity": "critical", "description": "worse", "runbook_url": "https://runbooks.example/"}, False),
        ({"name": "slow", "message_template": "{rule}!"}, False),
    ],
)
def test_a_new_condition_is_held_against_the_alert_that_is_open(
    firing: AlertRule, changes: dict[str, Any], *, ends: bool
) -> None:
    edit(**changes)
    play(slow(2, 4), until=4, start=2)
    assert history() == [(0, "firing", True), *([(2, "resolved", True)] if ends else [])]
    assert Alert.objects.get().resolved_at is None or ends


def test_a_breach_that_lasts_counts_for_a_new_for() -> None:
    channel()
    rule(for_minutes=5)
    play(slow(0, 3), until=3)
    edit(for_minutes=3)
    play(slow(3, 5), until=5, start=3)
    assert history() == [(0, "pending", False), (3, "firing", True)]


@pytest.mark.parametrize(
    "changes",
    [
        {"metric": "llm_call_duration"},
        {"statistic": "min"},
        {"scope": "global"},
        {"scope": "one_tenant", "tenant": "bolt"},
        {"scope": "one_tenant", "tenant": "acme"},
        {"metric": "llm_call_duration", "label_filter": {"provider": "openai"}},
    ],
)
def test_a_rule_that_judges_something_else_ends_what_it_had_open(firing: AlertRule, changes: dict[str, Any]) -> None:
    edit(**changes)
    play(slow(2, 3), until=3, start=2)
    assert history() == [(0, "firing", True), (2, "resolved", True)]
    assert reason() == "the rule was changed and judges something else now"
    assert to_minute(Alert.objects.get(tenant="acme").resolved_at) == MINUTE + 2  # type: ignore[arg-type]
    assert (0, "firing") in told()
    assert (2, "resolved") in told()


def test_the_new_subject_is_judged_from_the_next_minute_on_and_the_cooldown_goes_on(firing: AlertRule) -> None:
    edit(statistic="min")
    play(slow(2, 7), until=7, start=2)
    assert history() == [(0, "firing", True), (2, "resolved", True), (3, "firing", False), (5, "firing", True)]
    assert told() == [(0, "firing"), (2, "resolved"), (5, "firing")]
    first, second = Alert.objects.order_by("fired_at")
    assert (first.resolved_at is None, second.resolved_at is None) == (False, True)


def test_other_tenants_are_not_disturbed_by_one_that_ends(firing: AlertRule) -> None:
    edit(metric="handoff_rate", statistic="ratio", threshold=0.5)
    play({2: [*answered(SLOW, offset=2), *answered(SLOW, "bolt", 2, handoff_triggered=True)]}, until=3, start=2)
    assert history(tenant="bolt") == [(2, "firing", True)]


@pytest.mark.parametrize("way", ["save", "update"])
def test_a_rule_that_is_disabled_ends_what_it_has_open(firing: AlertRule, way: str) -> None:
    if way == "save":
        edit(enabled=False)
    else:
        AlertRule.objects.update(enabled=False)
    play(slow(2, 9), until=9, start=2)
    assert history() == [(0, "firing", True), (2, "resolved", True)]
    assert reason() == "the rule was disabled"
    assert told() == [(0, "firing"), (2, "resolved")]
    assert not AlertState.objects.exists()
    assert Alert.objects.get().resolved_at is not None


def test_a_rule_that_cannot_work_ends_what_it_has_open_when_it_is_disabled(firing: AlertRule) -> None:
    AlertRule.objects.update(metric="gone", label_filter="text", operator="??")
    play(slow(2, 3), until=3, start=2)
    assert Alert.objects.get().resolved_at is None
    AlertRule.objects.update(enabled=False)
    play(slow(3, 9), until=9, start=3)
    assert history() == [(0, "firing", True), (3, "resolved", True)]
    assert not AlertState.objects.exists()


def test_a_rule_that_cannot_work_can_be_deleted(firing: AlertRule) -> None:
    AlertRule.objects.update(metric="gone", label_filter="text", operator="??", scope="nobody")
    AlertRule.objects.all().delete()
    assert told() == [(0, "firing"), (2, "resolved")]


def test_a_pending_breach_of_a_disabled_rule_is_over() -> None:
    channel()
    rule(for_minutes=5)
    play(slow(0, 2), until=2)
    AlertRule.objects.update(enabled=False)
    play({}, until=3, start=2)
    assert history() == [(0, "pending", False), (2, "inactive", False)]
    assert not AlertState.objects.exists()
    AlertRule.objects.update(enabled=True)
    play(slow(3, 5), until=5, start=3)
    assert history()[2:] == [(3, "pending", False)]


def test_the_cooldown_outlives_being_disabled(firing: AlertRule) -> None:
    AlertRule.objects.update(enabled=False)
    play(slow(2, 3), until=3, start=2)
    AlertRule.objects.update(enabled=True)
    play(slow(3, 6), until=6, start=3)
    assert told() == [(0, "firing"), (2, "resolved"), (5, "firing")]


def test_an_end_that_comes_too_late_to_be_told_is_told_afterwards(firing: AlertRule, settings: Any) -> None:
    AlertRule.objects.update(enabled=False)
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 0
    play(slow(2, 3), until=3, start=2)
    assert history() == [(0, "firing", True), (2, "resolved", False)]
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 900
    play(slow(3, 9), until=9, start=3)
    assert told() == [(0, "firing"), (3, "resolved")]
    assert not AlertState.objects.exists()


@pytest.mark.parametrize("way", ["instance", "query"])
def test_a_rule_that_is_deleted_ends_what_it_has_open(firing: AlertRule, way: str) -> None:
    if way == "instance":
        firing.delete()
    else:
        AlertRule.objects.filter(name="slow").delete()
    alert = Alert.objects.get()
    assert alert.rule is None
    assert to_minute(alert.resolved_at) == MINUTE + 2  # type: ignore[arg-type]
    assert history() == [(0, "firing", True), (2, "resolved", True)]
    assert reason() == "the rule was deleted"
    assert told() == [(0, "firing"), (2, "resolved")]
    (resolved,) = Notification.objects.filter(kind="resolved")
    assert (resolved.alert_ids, resolved.payload["rule"]["name"]) == ([alert.pk], "slow")
    assert not AlertState.objects.exists()
    play(slow(2, 4), until=4, start=2)
    assert len(history()) == 2


def test_a_rule_that_has_nothing_open_is_deleted_silently() -> None:
    channel()
    rule()
    play({0: answered(FAST)}, until=1)
    AlertRule.objects.all().delete()
    assert (history(), told()) == ([], [])


def test_a_deletion_that_is_taken_back_ends_nothing(firing: AlertRule) -> None:
    with transaction.atomic():
        firing.delete()
        transaction.set_rollback(True)
    assert Alert.objects.get().resolved_at is None
    assert told() == [(0, "firing")]


def delete() -> None:
    AlertRule.objects.all().delete()


def prune() -> None:
    apply([], prune=True)


def acknowledge_all() -> None:
    acknowledge(list(Alert.objects.values_list("pk", flat=True)), None, datetime.now(UTC))


@pytest.mark.parametrize("work", [delete, prune, acknowledge_all])
def test_it_waits_for_the_minute_that_is_being_judged(firing: AlertRule, work: Callable[[], None]) -> None:
    """Otherwise an alert could begin whose rule is gone, or an acknowledgement be overwritten by what was read before it."""
    done = threading.Event()

    def at_the_same_time() -> None:
        try:
            work()
            done.set()
        finally:
            connection.close()

    for offset in range(2, 6):
        send(*answered(SLOW, offset=offset))
    roll_up(end_of(5))
    thread = threading.Thread(target=at_the_same_time)
    with transaction.atomic():
        evaluate(end_of(5))  # the minute 5 reminds, so its state is written
        thread.start()
        assert not done.wait(1.0)
    thread.join(30)
    assert done.is_set()
    if work is acknowledge_all:
        assert AlertState.objects.get().acknowledged
        play({offset: answered(SLOW, offset=offset) for offset in range(6, 13)}, until=13, start=6)
        assert (10, "reminder") not in told()
    else:
        assert not Alert.objects.filter(resolved_at=None).exists()
