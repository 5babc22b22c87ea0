"""What began at a fallback ends there, once, whatever is edited meanwhile."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Alert, AlertRule, Channel, Notification
from apps.monitoring.notify import broken, fallback, outbox
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.notify.sweep import sweep
from tests.integration.notify.conftest import Clock, MakeChannel
from tests.integration.notify.rows import MINUTE, alert, instance, log_channel, rule
from tests.sinks import faults
from tests.sinks.receiver import Receiver

EDITS = ["nothing", "switched off", "deleted", "another fallback", "without a fallback"]


@pytest.fixture
def duty(db: None, receiver: Receiver) -> Channel:
    return Channel.objects.create(
        name="duty", kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}
    )


@pytest.fixture
def hook(webhook: MakeChannel, receiver: Receiver, duty: Channel) -> Channel:
    return webhook(receiver, fallback=duty)


@pytest.fixture
def known(hook: Channel) -> AlertRule:
    made = rule()
    made.channels.set([hook])
    return made


def fires(known: AlertRule, tenant: str = "airline", minute: int = MINUTE) -> Alert:
    begun = alert(known, tenant)
    outbox.enqueue(known, Notice.FIRING, minute, [instance(tenant, alert=begun.pk)])
    return begun


def ends(known: AlertRule, *alerts: Alert, minute: int = MINUTE + 10) -> None:
    Alert.objects.filter(pk__in=[one.pk for one in alerts]).update(resolved_at=datetime.now(UTC))
    fresh = AlertRule.objects.get(pk=known.pk)
    outbox.enqueue(fresh, Notice.RESOLVED, minute, [instance(one.tenant, alert=one.pk) for one in alerts])


def edited(hook: Channel, how: str) -> None:
    if how == "deleted":
        hook.delete()
        return
    hook.enabled = how != "switched off"
    hook.fallback = {"another fallback": log_channel("another"), "without a fallback": None}.get(how, hook.fallback)
    hook.save()


def hook_is_down(receiver: Receiver) -> None:
    receiver.always(lambda request: request.path.endswith("/hook") and faults.answers(500)(request))


def copied(duty: Channel, clock: Clock) -> None:
    """What waits for the hook has waited too long, and is at the fallback."""
    clock.passes(minutes=6)
    fallback.sweep(clock())
    deliver_channel(duty.pk, clock)


def goes_on(clock: Clock) -> None:
    for _ in range(4):
        clock.passes(minutes=6)
        sweep(clock())
        for channel_id in Channel.objects.values_list("pk", flat=True):
            deliver_channel(channel_id, clock)


def incidents(receiver: Receiver) -> list[str]:
    """What PagerDuty was told of the rule, in order."""
    told = [arrival.body for arrival in receiver.arrivals("pagerduty")]
    about = {event["dedup_key"] for event in told if "error-rate" in event.get("payload", {}).get("group", "error-rate")}
    return [event["event_action"] for event in told if event["dedup_key"] in about]


def still_open(receiver: Receiver) -> set[str]:
    told = [(arrival.body["event_action"], arrival.body["dedup_key"]) for arrival in receiver.arrivals("pagerduty")]
    return {key for action, key in told if action == "trigger"} - {key for action, key in told if action == "resolve"}


def said_to(channel: Channel) -> list[tuple[str, list[int]]]:
    rows = Notification.objects.filter(channel=channel, about=None).order_by("created_at")
    return list(rows.values_list("kind", "alert_ids"))


@pytest.mark.parametrize("how", EDITS)
def test_an_alert_ends_there_whatever_became_of_the_channel_that_failed(
    how: str, known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    begun = fires(known)
    copied(duty, clock)
    assert incidents(receiver) == ["trigger"]
    edited(hook, how)
    ends(known, begun)
    goes_on(clock)
    assert incidents(receiver) == ["trigger", "resolve"]
    assert said_to(duty) == [("firing", [begun.pk]), ("resolved", [begun.pk])]


@pytest.mark.parametrize("how", EDITS)
def test_an_end_that_was_written_before_the_beginning_was_copied_goes_there_with_it(
    how: str, known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    begun = fires(known)
    ends(known, begun)
    clock.passes(minutes=6)
    assert fallback.sweep(clock()) == 1
    edited(hook, how)
    goes_on(clock)
    assert incidents(receiver) == ["trigger", "resolve"]
    _, end = Notification.objects.filter(channel=duty, about=None).order_by("created_at")
    assert end.payload["text"].endswith("Sent here because hook could not deliver its beginning in time.")


def test_it_ends_there_when_the_fallback_was_off_at_that_moment(
    known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    begun = fires(known)
    copied(duty, clock)
    Channel.objects.filter(pk=duty.pk).update(enabled=False)
    ends(known, begun)
    goes_on(clock)
    Channel.objects.filter(pk=duty.pk).update(enabled=True)
    goes_on(clock)
    assert incidents(receiver) == ["trigger", "resolve"]


def test_it_ends_there_when_the_rule_was_moved_there_and_another_alert_ends_in_the_same_minute(
    known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    first = fires(known)
    copied(duty, clock)
    known.channels.set([duty])
    second = fires(known, "retail", MINUTE + 8)
    ends(known, first, second)
    goes_on(clock)
    assert still_open(receiver) == set()
    (end,) = Notification.objects.filter(channel=duty, kind="resolved")
    assert set(end.alert_ids) == {first.pk, second.pk}


@pytest.mark.parametrize("how", ["late", "given up"])
def test_a_beginning_that_the_fallback_has_been_reminded_of_is_not_copied_there(
    how: str, known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    begun = fires(known)
    known.channels.set([duty])
    outbox.enqueue(known, Notice.REMINDER, MINUTE + 3, [instance(alert=begun.pk)])
    clock.passes(minutes=6)
    if how == "late":
        assert fallback.sweep(clock()) == 0
    receiver.will(faults.answers(404))
    deliver_channel(hook.pk, clock)
    ends(known, begun)
    goes_on(clock)
    assert said_to(duty) == [("reminder", [begun.pk]), ("resolved", [begun.pk])]
    assert still_open(receiver) == set()


def test_alerts_that_end_in_one_minute_end_there_each_once_though_one_was_copied_later(
    known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    first, second = fires(known), alert(known, "retail")
    copied(duty, clock)
    outbox.enqueue(known, Notice.FIRING, MINUTE + 4, [instance("retail", alert=second.pk)])
    ends(known, first, second)
    hook_is_down(receiver)
    goes_on(clock)
    assert said_to(duty) == [
        ("firing", [first.pk]),
        ("resolved", [first.pk]),
        ("firing", [second.pk]),
        ("resolved", [second.pk]),
    ]
    assert incidents(receiver) == ["trigger", "resolve"] * 2
    rest = Notification.objects.get(channel=duty, kind="resolved", alert_ids=[second.pk])
    assert (rest.payload["count"], [one["tenant"] for one in rest.payload["alerts"]]) == (1, ["retail"])
    assert rest.payload["text"].startswith("error-rate-5m is resolved for retail: ")


def test_of_an_end_that_is_late_the_fallback_is_told_what_it_does_not_know(
    known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    first = fires(known)
    copied(duty, clock)
    deliver_channel(hook.pk, clock)
    second = fires(known, "retail", MINUTE + 1)
    clock.passes(minutes=1)
    deliver_channel(hook.pk, clock)
    ends(known, first, second)
    hook_is_down(receiver)
    goes_on(clock)
    assert said_to(duty) == [("firing", [first.pk]), ("resolved", [first.pk]), ("resolved", [second.pk])]


def test_an_end_that_is_delivered_follows_a_beginning_that_was_copied_while_it_was_written(
    known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    """Who copied saw no end, and who wrote the end saw no copy."""
    begun = fires(known)
    ends(known, begun)
    clock.passes(minutes=6)
    fallback.sweep(clock())
    Notification.objects.filter(channel=duty, kind="resolved").delete()
    deliver_channel(hook.pk, clock)
    assert said_to(duty) == [("firing", [begun.pk]), ("resolved", [begun.pk])]


@pytest.mark.parametrize("how", EDITS)
def test_that_a_rule_is_broken_ends_there_too(
    how: str, known: AlertRule, hook: Channel, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    AlertRule.objects.update(error="KeyError: 'x'", error_since=timezone.now())
    broken.sweep(clock())
    copied(duty, clock)
    edited(hook, how)
    AlertRule.objects.update(error="", error_since=None)
    goes_on(clock)
    assert [kind for kind, _ in said_to(duty)] == ["firing", "resolved"]
    assert still_open(receiver) == set()
