"""The evaluation writes an end while a sweep copies its beginning to a fallback: neither sees the other."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from apps.monitoring.alerts import evaluate
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import fallback, outbox
from apps.monitoring.notify.delivery import deliver_channel
from tests.integration.alerts.judged import FAST, SLOW, answered, play, rule
from tests.patience import eventually
from tests.sessions import somebody_waits_for_a_lock

pytestmark = pytest.mark.usefixtures("stores")


def sweep() -> None:
    try:
        fallback.sweep(datetime.now(UTC))
    finally:
        connection.close()


def fired() -> tuple[Channel, Channel]:
    """The fallback, and the channel that has been told and is late."""
    duty = Channel.objects.create(name="duty", kind="log")
    hook = Channel.objects.create(name="hook", kind="log", is_default=True, fallback=duty, fallback_after_minutes=0)
    rule()
    play({0: answered(SLOW)}, until=1)
    return duty, hook


@pytest.mark.parametrize("first", ["the copy", "the end"])
@pytest.mark.parametrize("how", ["nothing", "switched off", "deleted"])
def test_the_fallback_is_told_of_the_end_whatever_became_of_the_channel_that_failed(
    first: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    duty, hook = fired()
    sweeping, enqueue = threading.Thread(target=sweep), outbox.enqueue

    def copied_meanwhile(*given: Any) -> Any:
        """The end is written, and not committed."""
        written = enqueue(*given)
        sweeping.start()
        sweeping.join()
        return written

    def copied_afterwards() -> None:
        """About to commit: who copies now waits, and sees the end."""
        sweeping.start()
        eventually("the sweep waits", somebody_waits_for_a_lock)

    if first == "the copy":
        monkeypatch.setattr(outbox, "enqueue", copied_meanwhile)
    else:
        monkeypatch.setattr(evaluate, "_look_up_by_index", copied_afterwards)
    play({1: answered(FAST, offset=1)}, until=2, start=1)
    sweeping.join()
    if how == "switched off":
        Channel.objects.filter(pk=hook.pk).update(enabled=False)
    elif how == "deleted":
        hook.delete()
    else:
        deliver_channel(hook.pk)
    fallback.sweep(datetime.now(UTC))
    said = Notification.objects.filter(channel=duty).order_by("created_at")
    assert [row.kind for row in said] == ["firing", "resolved"], "each once"
    assert said[0].alert_ids == said[1].alert_ids


def test_so_it_is_when_the_rule_is_deleted_in_that_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    duty, hook = fired()
    sweeping, enqueue = threading.Thread(target=sweep), outbox.enqueue

    def meanwhile(*given: Any) -> Any:
        written = enqueue(*given)
        sweeping.start()
        eventually("the sweep waits", somebody_waits_for_a_lock)
        return written

    monkeypatch.setattr(outbox, "enqueue", meanwhile)
    AlertRule.objects.get().delete()
    sweeping.join()
    hook.delete()
    fallback.sweep(datetime.now(UTC))
    said = Notification.objects.filter(channel=duty).order_by("created_at")
    assert [row.kind for row in said] == ["firing", "resolved"]


def test_a_channel_that_is_deleted_in_that_moment_costs_the_evaluation_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    _, hook = fired()
    fallback.sweep(datetime.now(UTC))
    began = datetime.now(UTC)
    AlertRule.objects.get().delete()
    own = fallback.announcements

    def deletes() -> None:
        Channel.objects.filter(pk=hook.pk).delete()
        connection.close()

    def meanwhile(*given: Any) -> Any:
        deleting = threading.Thread(target=deletes)
        deleting.start()
        deleting.join()
        return own(*given)

    monkeypatch.setattr(fallback, "announcements", meanwhile)
    with transaction.atomic():
        fallback.end_crossed(began)
    assert not Channel.objects.filter(pk=hook.pk).exists()


def test_a_storm_of_ends_that_nobody_copied_is_looked_at_once(django_assert_max_num_queries: Any) -> None:
    channels = [Channel.objects.create(name=f"c{number}", kind="log", is_default=True) for number in range(3)]
    for number in range(20):
        rule(f"slow-{number}")
    play({0: answered(SLOW)}, until=1)
    began = datetime.now(UTC)
    play({1: answered(FAST, offset=1)}, until=2, start=1)
    assert Notification.objects.filter(kind="resolved").count() == 20 * len(channels)
    with django_assert_max_num_queries(5), transaction.atomic():
        fallback.end_crossed(began)
