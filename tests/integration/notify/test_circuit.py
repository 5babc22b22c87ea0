"""A channel that fails again and again is left alone, and nothing is lost to that."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import circuit, delivery, outbox
from apps.monitoring.notify.channels.outcome import LONGEST_WAIT
from apps.monitoring.notify.delivery import Report, deliver_channel, due_channels, give_up_too_old
from apps.monitoring.notify.sweep import sweep
from tests.integration.notify.conftest import Clock, MakeChannel, Told, fresh
from tests.integration.notify.rows import MINUTE, log_channel
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


class TestWhatItHoldsBack:
    """Hangs on the time since when it is due, and since when the channel fails."""

    @pytest.fixture
    def held(self, broken: Channel, told: Told, clock: Clock) -> Notification:
        """One that was never tried, at a channel that fails from then on."""
        row = told(broken, name="held")
        due_since(row, clock.now)
        Notification.objects.exclude(pk=row.pk).update(attempts=5, first_attempt_at=clock.now + timedelta(hours=1))
        Channel.objects.update(failing_since=clock.now, failures=9)
        return row

    def test_is_given_up_after_its_day_although_it_was_never_tried(
        self, broken: Channel, held: Notification, clock: Clock
    ) -> None:
        clock.passes(hours=23, minutes=59)
        assert give_up_too_old(clock()) == 0
        clock.passes(minutes=1)
        assert give_up_too_old(clock()) == 1
        reason = "given up after 24 hours: it was not tried, the channel failed all the while"
        assert (fresh(held).status, fresh(held).attempts, fresh(held).last_error) == ("dead", 0, reason)
        assert Notification.objects.filter(status="pending").count() == 10

    def test_one_that_was_tried_does_not_wait_for_another_attempt(
        self, broken: Channel, held: Notification, clock: Clock
    ) -> None:
        clock.passes(hours=25)
        assert give_up_too_old(clock()) == 11
        reasons = Notification.objects.exclude(pk=held.pk).values_list("last_error", flat=True)
        assert "given up after 24 hours: the receiver answered 500" in reasons

    def test_is_kept_while_an_attempt_is_under_way(self, held: Notification, clock: Clock) -> None:
        clock.passes(hours=24)
        Notification.objects.filter(pk=held.pk).update(leased_until=clock.now + timedelta(seconds=60))
        assert give_up_too_old(clock()) == 0

    def test_and_the_fallback_is_told(self, broken: Channel, held: Notification, clock: Clock) -> None:
        Channel.objects.filter(pk=broken.pk).update(fallback=log_channel("stand-in"))
        clock.passes(hours=24)
        give_up_too_old(clock())
        copy = Notification.objects.get(fallback_of=held)
        assert "Sent here because hook gave it up: given up after 24 hours" in copy.payload["text"]

    def test_is_kept_by_a_channel_that_is_switched_off(self, broken: Channel, held: Notification, clock: Clock) -> None:
        Channel.objects.update(enabled=False)
        clock.passes(days=3)
        assert give_up_too_old(clock()) == 0

    def test_has_another_day_when_the_channel_is_switched_on_or_mended(
        self, broken: Channel, held: Notification, clock: Clock
    ) -> None:
        clock.passes(days=3)
        circuit.close(broken.pk, clock())
        Channel.objects.update(failures=3)
        Notification.objects.exclude(pk=held.pk).delete()
        assert give_up_too_old(clock()) == 0
        clock.passes(hours=24)
        assert give_up_too_old(clock()) == 1

    def test_has_its_day_from_when_the_channel_began_to_fail(self, held: Notification, clock: Clock) -> None:
        clock.passes(days=3)
        Channel.objects.update(failing_since=clock.now - timedelta(hours=23))  # until then no worker ran
        assert give_up_too_old(clock()) == 0

    def test_is_not_tried_for_another_day_when_its_turn_comes_late(
        self, broken: Channel, held: Notification, clock: Clock
    ) -> None:
        began = fresh(held).next_attempt_at
        clock.passes(hours=23)
        deliver_channel(broken.pk, clock)
        assert (fresh(held).attempts, fresh(held).first_attempt_at) == (1, began)
        clock.passes(hours=1, minutes=1)
        Notification.objects.exclude(pk=held.pk).delete()
        assert deliver_channel(broken.pk, clock) == Report(dead=1)

    def test_is_left_to_a_run_that_has_taken_it(self, held: Notification, clock: Clock) -> None:
        Notification.objects.filter(pk=held.pk).update(attempts=1)
        assert not delivery._give_up_waiting(held, clock())
        assert fresh(held).status == "pending"


def test_what_is_given_up_costs_one_attempt_a_run_as_well(broken: Channel, receiver: Receiver, clock: Clock) -> None:
    clock.passes(hours=25)
    assert deliver_channel(broken.pk, clock) == Report(dead=1)
    assert len(receiver.attempts) == 1
    channel = Channel.objects.get()
    assert channel.paused_until is not None
    assert channel.paused_until > clock.now


def test_a_receiver_that_is_gone_for_two_days_leaves_nothing_older_than_one(
    webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
) -> None:
    """Ten notifications an hour, of five rules, and four attempts."""
    channel = webhook(receiver)
    receiver.down()
    for hour in range(48):
        for number in range(10):
            due_since(told(channel, name=f"rule-{number % 5}", minute=MINUTE + hour * 60 + number), clock.now)
        for _ in range(4):
            clock.passes(minutes=15)
            deliver_channel(channel.pk, clock)
            give_up_too_old(clock())
    waiting = Notification.objects.filter(status="pending")
    assert not waiting.filter(created_at__lt=clock.now - timedelta(hours=24, minutes=20)).exists()
    assert 10 * 23 <= waiting.count() <= 10 * 25
    assert waiting.count() + Notification.objects.filter(status="dead").count() == 48 * 10


def due_since(row: Notification, moment: datetime) -> None:
    Notification.objects.filter(pk=row.pk).update(created_at=moment, next_attempt_at=moment)


@pytest.mark.parametrize(("seconds", "arrives"), [(LONGEST_WAIT + 60, True), (LONGEST_WAIT - 60, False), (2_000_000_000, True)])
def test_a_pause_that_is_longer_than_any_is_over(
    seconds: float, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock, *, arrives: bool
) -> None:
    channel = webhook(receiver)
    row = told(channel)
    circuit.leave_alone(channel.pk, clock.now, seconds)
    Notification.objects.filter(pk=row.pk).update(next_attempt_at=clock.now + timedelta(seconds=seconds))
    sweep(clock())
    assert due_channels(clock()) == [channel.pk] * arrives
    deliver_channel(channel.pk, clock)
    assert len(receiver.arrivals()) == arrives
    assert (Channel.objects.get().paused_until is None) == arrives
