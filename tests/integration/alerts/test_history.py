"""What is too old is forgotten in order; what is open, owed or on its way is not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import QuerySet
from django.utils import timezone

from apps.monitoring.alerts import history
from apps.monitoring.alerts.history import Forgotten, forget
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.models import (
    Alert,
    AlertRule,
    AlertState,
    AlertTransition,
    AuditEntry,
    Channel,
    Notification,
    Silence,
    TaskRun,
)
from apps.monitoring.notify import broken, failing
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.notify.outbox import resend
from apps.monitoring.rollup import locks
from tests.integration.alerts.judged import SLOW, answered, channel, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.purged import session
from workers.tasks.maintenance import maintenance

pytestmark = pytest.mark.usefixtures("stores")

LONG: Any = timedelta(days=700)
A_YEAR: Any = timedelta(days=365)
MOMENT: Any = timedelta(minutes=1)


def slow(*minutes: int) -> dict[int, Any]:
    return {minute: answered(SLOW, offset=minute) for minute in minutes}


def delivered() -> None:
    Notification.objects.update(status=Notification.Status.DELIVERED)


def rows() -> tuple[int, int, int]:
    """Alerts, transitions and notifications."""
    return Alert.objects.count(), AlertTransition.objects.count(), Notification.objects.count()


@pytest.fixture
def ended() -> Alert:
    """An alert that was told to the end."""
    channel(), rule()
    play(slow(0), until=3)
    delivered()
    return Alert.objects.get()


@contextmanager
def somebody_changes(row: Notification) -> Iterator[None]:
    with session() as other:
        other.execute("UPDATE monitoring_notification SET attempts = 0 WHERE id = %s", [row.pk])
        yield
        other.rollback()


class TestAlerts:
    def test_one_goes_with_its_transitions_a_year_after_its_end(self, ended: Alert) -> None:
        assert ended.resolved_at is not None
        assert forget(ended.resolved_at + A_YEAR) == Forgotten()
        assert rows() == (1, 2, 2)
        assert forget(ended.resolved_at + A_YEAR + MOMENT) == Forgotten(alerts=1, transitions=0)
        assert rows() == (0, 0, 2)

    def test_what_told_of_it_goes_when_it_has_gone_and_is_as_old(self, ended: Alert) -> None:
        forget(timezone.now() + A_YEAR - timedelta(days=1))
        assert rows() == (0, 0, 2), "they were written just now"
        assert forget(timezone.now() + A_YEAR + MOMENT) == Forgotten(notifications=2)

    def test_what_told_of_several_stays_as_long_as_one_of_them(self, ended: Alert) -> None:
        other = Alert.objects.create(
            rule=ended.rule,
            rule_name="slow",
            tenant="other",
            severity="error",
            since=ended.since,
            fired_at=ended.fired_at,
            threshold=1.0,
        )
        Notification.objects.filter(kind="firing").update(alert_ids=[ended.pk, other.pk])
        assert forget(timezone.now() + LONG) == Forgotten(alerts=1, notifications=1)
        assert Notification.objects.get().alert_ids == [ended.pk, other.pk]

    def test_one_that_fires_stays_with_all_that_told_of_it(self) -> None:
        channel(), rule(cooldown_minutes=2)
        play(slow(*range(8)), until=8)
        delivered()
        before = rows()
        assert before == (1, 4, 4)
        assert forget(timezone.now() + LONG) == Forgotten(transitions=3), "the reminders in the history"
        assert rows() == (1, 1, 4)
        play(slow(8), until=10, start=8)
        assert Notification.objects.filter(kind="resolved").exists()

    def test_one_whose_end_is_owed_stays_until_it_was_told(self) -> None:
        channel(), rule()
        Silence.objects.create(
            rules=["slow"], author="anna", comment="x", starts_at=to_datetime(MINUTE + 3), ends_at=to_datetime(MINUTE + 9)
        )
        play(slow(0, 1), until=5)
        delivered()
        assert AlertState.objects.get().owed == Alert.objects.get()
        assert forget(timezone.now() + LONG).alerts == 0
        play({}, until=12, start=5)
        delivered()
        assert forget(timezone.now() + LONG).alerts == 1

    def test_one_of_which_something_is_on_its_way_stays_until_it_has_arrived(self, ended: Alert) -> None:
        Channel.objects.update(enabled=False)
        Notification.objects.filter(kind="resolved").update(status=Notification.Status.PENDING)
        assert forget(timezone.now() + LONG) == Forgotten()
        assert rows() == (1, 2, 2)
        delivered()
        assert forget(timezone.now() + LONG) == Forgotten(alerts=1, notifications=2)

    def test_what_led_to_no_alert_goes_by_its_minute(self) -> None:
        channel(), rule(for_minutes=5)
        play(slow(0, 1), until=4)
        begun, over = AlertTransition.objects.order_by("minute").values_list("minute", flat=True)
        assert forget(begun + A_YEAR) == Forgotten()
        assert forget(over + A_YEAR) == Forgotten(transitions=1)
        assert forget(over + A_YEAR + MOMENT) == Forgotten(transitions=1)

    def test_the_setting_counts_but_never_less_than_minutes_are_kept(self, ended: Alert, settings: Any) -> None:
        assert ended.resolved_at is not None
        settings.MONITORING_RETENTION_ALERT_DAYS, settings.MONITORING_RETENTION_MINUTE_DAYS = 20, 30
        assert forget(ended.resolved_at + timedelta(days=30)).alerts == 0
        assert forget(ended.resolved_at + timedelta(days=30) + MOMENT).alerts == 1


class TestNotifications:
    def test_one_that_somebody_sends_again_at_that_moment_is_passed_over(self, ended: Alert) -> None:
        last = Notification.objects.get(kind="resolved")
        with somebody_changes(last):
            assert forget(timezone.now() + LONG) == Forgotten(alerts=1, notifications=1)
        assert Notification.objects.get() == last

    def test_tests_go_by_their_age(self) -> None:
        sent = Notification.objects.create(
            channel=channel(), kind="test", minute=timezone.now(), payload={}, next_attempt_at=timezone.now(), status="dead"
        )
        assert forget(sent.created_at + A_YEAR).notifications == 0
        assert forget(sent.created_at + A_YEAR + MOMENT).notifications == 1

    def test_of_a_broken_rule_it_is_told_once_however_often_it_is_forgotten(self) -> None:
        told, bad = channel(), rule()
        AlertRule.objects.update(error="KeyError: x", error_since=timezone.now())
        broken.sweep(timezone.now())
        assert forget(timezone.now() + LONG).notifications == 0, "it is still broken, and on its way"
        delivered()
        assert forget(timezone.now() + LONG).notifications == 0, "it is still broken"
        AlertRule.objects.update(error="", error_since=None)
        broken.sweep(timezone.now())
        assert forget(timezone.now() + LONG).notifications == 0, "the end is on its way, and goes on with the beginning"
        delivered()
        begun = Notification.objects.get(kind="firing", channel=told, broken_rule=bad.pk)
        with somebody_changes(begun):
            assert forget(timezone.now() + LONG).notifications == 0
            assert broken.sweep(timezone.now()) == 0, "it was told to be over"
        assert forget(timezone.now() + LONG).notifications == 2
        assert broken.sweep(timezone.now()) == 0

    def test_of_a_failing_channel_as_well(self) -> None:
        channel()
        hook = Channel.objects.create(name="hook", kind="webhook", config={"url": "https://x.example"})
        now = timezone.now()
        Channel.objects.filter(pk=hook.pk).update(failing_since=now - timedelta(hours=1), failures=3, last_error="refused")
        assert failing.sweep(now) == 1
        delivered()
        assert forget(timezone.now() + LONG).notifications == 0, "it still fails"
        hook.delete()
        assert failing.sweep(timezone.now()) == 1
        delivered()
        with somebody_changes(Notification.objects.get(kind="firing")):
            assert forget(timezone.now() + LONG).notifications == 0
            assert failing.sweep(timezone.now()) == 0
        assert forget(timezone.now() + LONG).notifications == 2
        assert failing.sweep(timezone.now()) == 0

    def test_what_was_given_up_is_sent_again_although_its_alert_is_forgotten(self, ended: Alert) -> None:
        Notification.objects.update(status=Notification.Status.DEAD)
        forget(ended.since + A_YEAR + timedelta(hours=1))
        assert rows() == (0, 0, 2)
        assert resend(Notification.objects.all()) == 2
        assert deliver_channel(Channel.objects.get().pk).delivered == 2

    def test_what_is_sent_again_while_a_run_is_at_it_keeps_its_alert(
        self, ended: Alert, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moments = {"since": ended.since, "fired_at": ended.fired_at - MOMENT, "resolved_at": ended.resolved_at}
        Alert.objects.create(rule_name="slow", severity="error", threshold=1.0, **moments)
        own = history._with_transitions

        def meanwhile(alerts: QuerySet[Alert]) -> int:
            Notification.objects.update(status=Notification.Status.PENDING)
            return own(alerts)

        monkeypatch.setattr(history, "_AT_ONCE", 1)
        monkeypatch.setattr(history, "_with_transitions", meanwhile)
        assert forget(timezone.now() + LONG) == Forgotten(alerts=1)
        assert Alert.objects.get() == ended


class TestEdits:
    def test_they_go_by_their_age_and_what_is_left_says_what_was_before(self) -> None:
        edited = rule()
        made = AuditEntry.objects.get()
        AuditEntry.objects.update(at=made.at - timedelta(days=2))
        edited.threshold = 7_000.0
        edited.save()
        assert forget(made.at + timedelta(days=1_095)).edits == 1
        (left,) = AuditEntry.objects.all()
        assert left.before is not None
        assert (left.before["threshold"], left.after and left.after["threshold"]) == (5_000.0, 7_000.0)

    def test_never_sooner_than_what_was_judged_by_them(self, settings: Any) -> None:
        settings.MONITORING_RETENTION_AUDIT_DAYS = 1
        settings.MONITORING_RETENTION_ALERT_DAYS = 50
        assert (history.alert_days(), history.audit_days()) == (50, 50)
        settings.MONITORING_RETENTION_MINUTE_DAYS = 60
        assert (history.alert_days(), history.audit_days()) == (60, 60)

    def test_silences_go_and_that_is_an_edit(self) -> None:
        def until(moment: datetime) -> Silence:
            return Silence.objects.create(
                rules=["slow"], author="anna", comment="x", starts_at=moment - timedelta(hours=1), ends_at=moment
            )

        now = timezone.now()
        old, new = until(now - A_YEAR - timedelta(days=1)), until(now - timedelta(days=300))
        assert forget(now) == Forgotten(silences=1)
        assert list(Silence.objects.all()) == [new]
        entry = AuditEntry.objects.get(kind="silence", object_id=old.pk, action="deleted")
        assert entry.actor == "retention"


class TestRuns:
    def test_many_go_some_at_a_time(self, ended: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(history, "_AT_ONCE", 2)
        Alert.objects.bulk_create(
            Alert(rule_name="slow", severity="error", since=ended.since, fired_at=ended.fired_at, resolved_at=ended.resolved_at, threshold=1.0)
            for _ in range(4)
        )  # fmt: skip
        assert forget(timezone.now() + LONG) == Forgotten(alerts=5, notifications=2)

    def test_one_that_has_no_time_left_says_so(self, ended: Alert, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(history, "_SECONDS", 0.0)
        assert forget(timezone.now() + LONG) == Forgotten(is_left=True)
        assert rows() == (1, 2, 2)

    def test_of_two_at_once_one_does_it(self, ended: Alert) -> None:
        with session() as other:
            other.execute("SELECT pg_advisory_lock(%s, 0)", [locks._RETENTION])
            assert forget(timezone.now() + LONG) == Forgotten(busy=True)

    def test_it_says_how_far_it_goes_back(self, ended: Alert) -> None:
        alerts, edits = history.remembered()
        assert (alerts.kept_days, alerts.oldest) == (365, ended.fired_at)
        assert (edits.kept_days, edits.oldest) == (1_095, AuditEntry.objects.earliest("at").at)

    def test_the_hourly_task_does_it(self) -> None:
        sent = Notification.objects.create(
            channel=channel(), kind="test", minute=timezone.now(), payload={}, next_attempt_at=timezone.now(), status="dead"
        )
        Notification.objects.update(created_at=sent.created_at - A_YEAR - MOMENT)
        maintenance()
        assert not Notification.objects.exists()
        assert TaskRun.objects.get(name="maintenance").succeeded_at is not None
