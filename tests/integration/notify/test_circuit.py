"""A channel that fails again and again is left alone, and nothing is lost to that."""

from __future__ import annotations

from datetime import timedelta

import pytest

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import circuit, outbox
from apps.monitoring.notify.delivery import Report, deliver_channel, due_channels
from tests.integration.notify.conftest import Clock, MakeChannel, Told, fresh
from tests.sinks import faults
from tests.sinks.receiver import Receiver


def test_its_pauses_double_up_to_five_minutes() -> None:
    assert [circuit.pause(failures) for failures in range(10)] == [0, 0, 0, 10, 20, 40, 80, 160, 300, 300]
    assert circuit.pause(10**6) == 300


@pytest.fixture
def broken(webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock) -> Channel:
    """A channel whose receiver has failed often, with ten notifications that wait."""
    channel = webhook(receiver)
    for number in range(10):
        told(channel, name=f"rule-{number}")
    clock.passes(seconds=1)
    receiver.always(faults.answers(500))
    for _ in range(20):
        deliver_channel(channel.pk, clock)
        clock.passes(seconds=5)
    receiver.attempts.clear()
    return channel


def test_it_is_asked_seldom_however_much_waits(broken: Channel, receiver: Receiver, clock: Clock) -> None:
    for _ in range(360):
        deliver_channel(broken.pk, clock)
        clock.passes(seconds=10)
    assert 10 <= len(receiver.attempts) <= 14  # an hour, each five minutes


def test_during_a_pause_nothing_is_due_and_a_new_one_waits_too(broken: Channel, told: Told, clock: Clock) -> None:
    Channel.objects.update(failures=8)
    circuit.failed(broken.pk, "down", clock.now, None)
    told(broken, name="new")
    clock.passes(seconds=299)
    assert due_channels(clock()) == []
    clock.passes(seconds=1)
    assert due_channels(clock()) == [broken.pk]


def test_the_first_that_arrives_lets_all_others_go(broken: Channel, receiver: Receiver, clock: Clock) -> None:
    receiver.always(None)
    probe = Notification.objects.first()
    assert probe is not None
    Notification.objects.exclude(pk=probe.pk).update(next_attempt_at=clock.now + timedelta(hours=1))
    clock.passes(minutes=5)
    assert deliver_channel(broken.pk, clock) == Report(delivered=10)
    assert len(receiver.ids()) == len(set(receiver.ids())) == 10
    channel = Channel.objects.get()
    assert (channel.failures, channel.paused_until, channel.failing_since, channel.last_error) == (0, None, None, "")


def test_one_that_is_never_taken_does_not_stand_before_the_others(
    webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
) -> None:
    channel = webhook(receiver)
    poison = told(channel, name="poison")
    clock.passes(seconds=1)
    receiver.always(faults.answers(500))
    for _ in range(6):
        deliver_channel(channel.pk, clock)
        clock.passes(minutes=5)
    other = told(channel, name="good")
    clock.passes(minutes=10)
    receiver.attempts.clear()
    receiver.always(None)
    receiver.will(faults.none, faults.answers(500))
    deliver_channel(channel.pk, clock)
    assert [attempt["webhook-id"] for attempt in receiver.attempts] == [str(other.pk), str(poison.pk)]


def test_after_a_day_without_a_receiver_what_was_never_tried_still_has_its_day(
    broken: Channel, receiver: Receiver, told: Told, clock: Clock
) -> None:
    for _ in range(300):
        deliver_channel(broken.pk, clock)
        clock.passes(minutes=5)
    late = told(broken, name="late")
    receiver.always(None)
    clock.passes(minutes=5)
    deliver_channel(broken.pk, clock)
    assert fresh(late).status == "delivered"
    dead = Notification.objects.filter(status="dead")
    assert all(row.attempts > 1 and row.last_error.startswith("given up after 24 hours") for row in dead)
    assert Notification.objects.filter(status="pending").count() == 0


def test_a_time_that_the_receiver_names_holds_what_comes_later_too(
    webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
) -> None:
    channel = webhook(receiver)
    told(channel)
    clock.passes(seconds=1)
    receiver.will(faults.answers(429, Retry_After="600"))
    deliver_channel(channel.pk, clock)
    told(channel, name="later")
    clock.passes(seconds=599)
    assert deliver_channel(channel.pk, clock) == Report()
    clock.passes(seconds=1)
    assert deliver_channel(channel.pk, clock) == Report(delivered=2)


def test_who_asks_for_a_test_does_not_wait(broken: Channel, receiver: Receiver, clock: Clock) -> None:
    receiver.always(None)
    outbox.send_test(Channel.objects.get())
    clock.passes(seconds=1)
    assert deliver_channel(broken.pk, clock) == Report(delivered=11)
