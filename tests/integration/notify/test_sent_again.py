"""What is sent again after it has ended is followed by its end."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.utils import timezone

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Alert, AlertRule, Channel, Notification
from apps.monitoring.notify import broken, failing, outbox
from apps.monitoring.notify.delivery import deliver_channel
from tests.integration.notify.conftest import Clock, MakeChannel
from tests.integration.notify.rows import MINUTE, alert, instance, log_channel, rule
from tests.sinks import faults
from tests.sinks.receiver import Receiver


@pytest.fixture
def duty(db: None, receiver: Receiver) -> Channel:
    return Channel.objects.create(
        name="duty", kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}
    )


@pytest.fixture
def known(duty: Channel) -> AlertRule:
    made = rule()
    made.channels.set([duty])
    return made


def told(known: AlertRule, notice: Notice, minute: int, *alerts: Alert) -> None:
    if notice is Notice.RESOLVED:
        Alert.objects.filter(pk__in=[one.pk for one in alerts]).update(resolved_at=datetime.now(UTC))
    outbox.enqueue(known, notice, minute, [instance(one.tenant, alert=one.pk) for one in alerts])


def delivered(channel: Channel, clock: Clock) -> None:
    clock.passes(minutes=1)
    deliver_channel(channel.pk, clock)


def refused(channel: Channel, receiver: Receiver, clock: Clock, times: int = 1) -> None:
    receiver.will(*[faults.answers(400)] * times)
    delivered(channel, clock)


def sent_again(channel: Channel, clock: Clock) -> int:
    sent = outbox.resend(Notification.objects.filter(status="dead", kind="firing"))
    delivered(channel, clock)
    return sent


def events(receiver: Receiver) -> list[tuple[str, str]]:
    return [(arrival.body["event_action"], arrival.body["dedup_key"]) for arrival in receiver.arrivals("pagerduty")]


def test_an_end_that_has_arrived_is_told_again(known: AlertRule, duty: Channel, receiver: Receiver, clock: Clock) -> None:
    begun = alert(known)
    told(known, Notice.FIRING, MINUTE, begun)
    refused(duty, receiver, clock)
    told(known, Notice.RESOLVED, MINUTE + 10, begun)
    delivered(duty, clock)
    before = len(events(receiver))
    assert sent_again(duty, clock) == 2
    assert [action for action, _ in events(receiver)[before:]] == ["trigger", "resolve"]
    assert len({key for _, key in events(receiver)}) == 1


def test_to_a_webhook_under_an_id_that_it_has_not_seen(
    webhook: MakeChannel, receiver: Receiver, clock: Clock, known: AlertRule
) -> None:
    hook = webhook(receiver)
    known.channels.set([hook])
    begun = alert(known)
    told(known, Notice.FIRING, MINUTE, begun)
    receiver.will(faults.answers(404))
    delivered(hook, clock)
    told(known, Notice.RESOLVED, MINUTE + 10, begun)
    delivered(hook, clock)
    sent_again(hook, clock)
    end, again, copy = (arrival.body for arrival in receiver.arrivals())
    assert [end["kind"], again["kind"], copy["kind"]] == ["resolved", "firing", "resolved"]
    assert len({end["id"], again["id"], copy["id"]}) == 3
    assert copy["text"] == end["text"] + " Sent again because its beginning was."


def test_an_end_that_was_given_up_too_goes_with_it_under_its_own_id(
    known: AlertRule, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    begun = alert(known)
    told(known, Notice.FIRING, MINUTE, begun)
    told(known, Notice.RESOLVED, MINUTE + 10, begun)
    refused(duty, receiver, clock, times=2)
    assert sent_again(duty, clock) == 2
    assert [action for action, _ in events(receiver)] == ["trigger", "resolve"]
    assert Notification.objects.count() == 2


def test_an_end_is_not_told_twice_however_often_the_beginning_is_sent_again(
    known: AlertRule, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    begun = alert(known)
    told(known, Notice.FIRING, MINUTE, begun)
    refused(duty, receiver, clock)
    told(known, Notice.RESOLVED, MINUTE + 10, begun)
    delivered(duty, clock)
    before = len(events(receiver))
    for _ in range(3):
        outbox.resend(Notification.objects.all())
    delivered(duty, clock)
    assert outbox.resend(Notification.objects.all()) == 0
    assert [action for action, _ in events(receiver)[before:]] == ["trigger", "resolve"]


def test_of_an_end_of_several_only_what_the_beginning_named(
    known: AlertRule, duty: Channel, receiver: Receiver, clock: Clock
) -> None:
    first, second = alert(known), alert(known, "retail")
    told(known, Notice.FIRING, MINUTE, first)
    refused(duty, receiver, clock)
    told(known, Notice.FIRING, MINUTE + 1, second)
    told(known, Notice.RESOLVED, MINUTE + 10, first, second)
    delivered(duty, clock)
    sent_again(duty, clock)
    copy = Notification.objects.get(fallback_of__isnull=False)
    assert (copy.alert_ids, copy.payload["count"]) == ([first.pk], 1)
    assert events(receiver)[-1] == ("resolve", str(Notification.objects.get(alert_ids=[first.pk], kind="firing").pk))


def test_what_goes_on_is_followed_by_nothing(known: AlertRule, duty: Channel, receiver: Receiver, clock: Clock) -> None:
    told(known, Notice.FIRING, MINUTE, alert(known))
    refused(duty, receiver, clock)
    assert sent_again(duty, clock) == 1
    assert [action for action, _ in events(receiver)] == ["trigger"]


@pytest.mark.parametrize("ended", ["delivered", "given up"])
@pytest.mark.parametrize("what", ["a broken rule", "a failing channel"])
def test_so_is_what_is_about_no_alert(what: str, ended: str, duty: Channel, receiver: Receiver, clock: Clock) -> None:
    Channel.objects.update(is_default=True)
    if what == "a broken rule":
        rule(name="bad", error="ValueError: x", error_since=timezone.now())
    else:
        log_channel("journal", failing_since=timezone.now(), last_error="full")
    clock.passes(minutes=11)
    failing.sweep(clock())
    broken.sweep(clock())
    refused(duty, receiver, clock)
    AlertRule.objects.update(error="", error_since=None)
    Channel.objects.filter(name="journal").update(failing_since=None)
    failing.sweep(clock())
    broken.sweep(clock())
    if ended == "delivered":
        delivered(duty, clock)
    else:
        refused(duty, receiver, clock)
    before = len(events(receiver))
    assert sent_again(duty, clock) == 2
    assert [action for action, _ in events(receiver)[before:]] == ["trigger", "resolve"]
    assert len({key for _, key in events(receiver)}) == 1
