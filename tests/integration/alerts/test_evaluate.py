"""From stored minutes to states, history and notifications, on real servers."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection

from apps.monitoring import get_agent_monitor
from apps.monitoring.alerts.defaults import DEFAULT_RULES, create_missing
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.ingest import recorder
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, Notification
from tests.integration.alerts.judged import (
    FAST,
    SLOW,
    answered,
    channel,
    end_of,
    history,
    play,
    rule,
)
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


def test_a_breach_fires_is_notified_and_resolves() -> None:
    channel()
    rule()
    play({0: answered(FAST), 1: answered(SLOW, offset=1), 2: answered(FAST, offset=2)}, until=4)
    assert history() == [(1, "firing", True), (2, "resolved", True)]
    assert list(Notification.objects.order_by("minute").values_list("kind", flat=True)) == ["firing", "resolved"]
    (alert,) = Alert.objects.all()
    assert alert.resolved_at is not None
    assert (to_minute(alert.fired_at), to_minute(alert.resolved_at)) == (MINUTE + 1, MINUTE + 2)


@pytest.mark.parametrize(
    ("operator", "fires"),
    [
        ("gt", [False, False, True]),
        ("gte", [False, True, True]),
        ("lt", [True, False, False]),
        ("lte", [True, True, False]),
        ("eq", [False, True, False]),
    ],
)
def test_every_operator_below_at_and_above_the_threshold(operator: str, fires: list[bool]) -> None:
    rule(operator=operator, threshold=500.0)
    send(*answered(499, "below"), *answered(500, "equal"), *answered(501, "above"))
    roll_up(end_of(0))
    evaluate(end_of(0))
    fired = set(AlertState.objects.filter(status="firing").values_list("tenant", flat=True))
    assert [tenant in fired for tenant in ("below", "equal", "above")] == fires


def test_a_rule_that_cannot_be_evaluated_is_in_error_and_stops_no_other() -> None:
    channel()
    bad, _ = rule("bad"), rule("slow")
    AlertRule.objects.filter(pk=bad.pk).update(metric="no_such_metric")
    play({0: answered(SLOW)}, until=1)
    bad.refresh_from_db()
    assert "no_such_metric" in bad.error
    since = bad.error_since
    assert since is not None
    assert history("slow") == [(0, "firing", True)]
    play({1: answered(SLOW, offset=1)}, until=2, start=1)
    bad.refresh_from_db()
    assert bad.error_since == since
    AlertRule.objects.filter(pk=bad.pk).update(metric="response_time")
    play({2: answered(SLOW, offset=2)}, until=3, start=2)
    bad.refresh_from_db()
    assert (bad.error, bad.error_since) == ("", None)
    assert history("bad") == [(2, "firing", True)]


@pytest.mark.parametrize(
    "nonsense",
    [
        {"statistic": "p42"},
        {"operator": "??"},
        {"metric": "user.not a name"},
        {"label_filter": "text"},
        {"no_data": "maybe", "min_samples": 99},
        {"window_minutes": 2_000_000_000},
    ],
)
def test_whatever_is_wrong_with_a_rule_the_others_are_judged(nonsense: dict[str, Any]) -> None:
    channel()
    bad, _ = rule("bad"), rule("slow")
    AlertRule.objects.filter(pk=bad.pk).update(**nonsense)
    play({0: answered(SLOW)}, until=1)
    assert history("slow") == [(0, "firing", True)]
    bad.refresh_from_db()
    assert bad.error


def test_a_state_never_changes_without_its_notification() -> None:
    channel()
    made = rule()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_notification ADD CONSTRAINT nobody CHECK (attempts < 0) NOT VALID")
    try:
        play({0: answered(SLOW)}, until=1)
        made.refresh_from_db()
        assert "nobody" in made.error
        assert (history(), AlertState.objects.count(), Alert.objects.count()) == ([], 0, 0)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_notification DROP CONSTRAINT nobody")
    play({1: answered(SLOW, offset=1)}, until=2, start=1)
    assert history() == [(1, "firing", True)]


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        ("ok", [(0, "firing", True), (1, "resolved", True)]),
        ("keep", [(0, "firing", True), (3, "resolved", True)]),
        ("alert", [(0, "firing", True), (3, "resolved", True)]),
    ],
)
def test_no_data_is_what_the_policy_says(policy: str, found: list[tuple[int, str, bool]]) -> None:
    channel()
    rule(no_data=policy)
    play({0: answered(SLOW), 3: answered(FAST, offset=3)}, until=4)
    assert history() == found


def test_a_tenant_that_falls_silent_fires_where_the_policy_is_alert() -> None:
    channel()
    rule(no_data="alert")
    play({0: [*answered(FAST, "acme"), *answered(FAST, "bolt")], 1: answered(FAST, "bolt", 1)}, until=2)
    assert history(tenant="acme") == [(1, "firing", True)]
    assert history(tenant="bolt") == []


def test_too_few_samples_are_no_data() -> None:
    channel(), rule(min_samples=3)
    play({0: answered(SLOW, times=2), 1: answered(SLOW, offset=1, times=3)}, until=2)
    assert history() == [(1, "firing", True)]


def test_a_window_is_the_minutes_that_end_with_the_judged_one() -> None:
    rule(window_minutes=3)
    play({2: answered(SLOW, offset=2)}, until=8)
    assert [(minute, state) for minute, state, _ in history()] == [(2, "firing"), (5, "resolved")]


def test_many_tenants_that_fire_in_one_minute_are_one_notification_a_channel() -> None:
    channel()
    rule()
    play({0: [event for n in range(30) for event in answered(SLOW + n, f"tenant-{n:02}")]}, until=1)
    (notification,) = Notification.objects.all()
    assert notification.payload["count"] == 30
    assert [alert["tenant"] for alert in notification.payload["alerts"]][:2] == ["tenant-29", "tenant-28"]
    assert AlertState.objects.filter(status="firing").count() == 30


def test_one_tenant_does_not_fire_for_another_nor_for_all() -> None:
    rule("each")
    rule("all", scope="global", statistic="p50")
    rule("bolt-alone", scope="one_tenant", tenant="bolt")
    play({0: [*answered(SLOW, "acme"), *answered(FAST, "bolt", times=9)]}, until=1)
    assert list(AlertTransition.objects.values_list("rule_name", "tenant")) == [("each", "acme")]


def test_a_rule_that_is_switched_off_is_not_judged() -> None:
    rule(enabled=False)
    play({0: answered(SLOW)}, until=1)
    assert history() == []


def test_a_state_that_says_nothing_any_more_is_removed() -> None:
    rule(cooldown_minutes=2)
    channel()
    play({0: answered(SLOW)}, until=1)
    assert AlertState.objects.count() == 1
    play({1: answered(FAST, offset=1)}, until=5, start=1)
    assert AlertState.objects.count() == 0


def test_an_acknowledged_alert_is_not_reminded_of() -> None:
    channel()
    rule(cooldown_minutes=2)
    play({n: answered(SLOW, offset=n) for n in range(2)}, until=2)
    AlertState.objects.update(acknowledged="warning")
    play({n: answered(SLOW, offset=n) for n in range(2, 9)}, until=9, start=2)
    assert history() == [(0, "firing", True)]


def test_the_default_rules_can_all_be_judged() -> None:
    assert sorted(create_missing()) == sorted(made["name"] for made in DEFAULT_RULES)
    assert create_missing() == []
    send(*[interaction(n, "acme", processing_time_ms=20_000, handoff_triggered=True, estimated_cost=9) for n in range(12)])
    roll_up(end_of(0))
    evaluate(end_of(0))
    assert not AlertRule.objects.exclude(error="").exists()
    assert set(AlertState.objects.values_list("rule__name", flat=True)) == {
        "response-time-p95", "response-time-p99", "cost-per-conversation-high", "cost-per-conversation-very-high",
        "handoff-rate-high", "handoff-rate-very-high",
    }  # fmt: skip


def test_tokens_of_a_model_whose_price_nobody_knows_are_told_of_once_a_day() -> None:
    channel()
    create_missing()
    monitor = get_agent_monitor(tenant_id="acme")

    def asked(model: str, offset: int) -> None:
        monitor.log_and_record_interaction(
            conversation_id="c-1",
            customer_message="where is it?",
            agent_response="on its way",
            model_used=model,
            processing_time_ms=FAST,
            token_usage={"prompt_tokens": 500, "completion_tokens": 20},
            timestamp=to_datetime(MINUTE + offset),
        )

    asked("gpt-4o", 0)
    for offset in (1, 9, 80):
        asked("no-such-model", offset)
    assert recorder.flush_now(5.0)
    play({}, until=12)
    assert history("model-price-unknown", "") == [(1, "firing", True)]
    assert AlertTransition.objects.get().value == 1
    roll_up(end_of(80))
    evaluate(end_of(80))
    assert history("model-price-unknown", "") == [(1, "firing", True), (69, "resolved", True), (80, "firing", False)]


@pytest.mark.parametrize("tenant", ["a\tb\nc", "\\N", 'a\\"b', "{a,NULL} 🦊"])
def test_a_tenant_may_be_called_whatever_it_likes(tenant: str) -> None:
    channel()
    rule()
    play({0: answered(SLOW, tenant), 2: answered(SLOW, tenant, 2)}, 4)
    assert history(tenant=tenant) == [(0, "firing", True), (1, "resolved", True), (2, "firing", False), (3, "resolved", False)]
    assert set(Alert.objects.values_list("tenant", flat=True)) == {tenant}
