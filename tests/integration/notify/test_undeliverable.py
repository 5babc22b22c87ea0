"""What cannot be delivered is given up, or waits for somebody to mend its channel."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import channels, outbox
from apps.monitoring.notify.delivery import Report, deliver_channel, due_channels
from tests.integration.notify.conftest import SECRET, Clock, MakeChannel, Told, fresh
from tests.integration.notify.odd import Odd
from tests.integration.notify.rows import MINUTE
from tests.sinks import faults
from tests.sinks.receiver import Receiver


class TestGivenUp:
    def test_after_a_day(self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock) -> None:
        channel = webhook(receiver)
        row = told(channel)
        receiver.always(faults.answers(500))
        deliver_channel(channel.pk, clock)
        clock.passes(hours=23, minutes=59)
        deliver_channel(channel.pk, clock)
        assert fresh(row).status == "pending"
        clock.passes(hours=2)
        assert deliver_channel(channel.pk, clock) == Report(dead=1)
        assert fresh(row).status == "dead"
        assert fresh(row).last_error == "given up after 24 hours: the receiver answered 500"
        clock.passes(days=1)
        assert due_channels(clock()) == []

    def test_at_once_when_the_receiver_refuses_and_the_next_goes_on(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        told(channel, minute=MINUTE + 1)
        receiver.will(faults.answers(422))
        assert deliver_channel(channel.pk, clock) == Report(delivered=1, dead=1)
        assert (fresh(row).status, fresh(row).last_error) == ("dead", "the receiver answered 422")

    def test_and_sent_again_under_its_own_id_when_asked_to(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        receiver.will(faults.answers(404))
        deliver_channel(channel.pk, clock)
        outbox.resend(Notification.objects.filter(pk=row.pk))
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        assert receiver.ids() == [str(row.pk)]

    def test_what_is_delivered_is_not_sent_again_even_when_asked_to(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        deliver_channel(channel.pk, clock)
        outbox.resend(Notification.objects.filter(pk=row.pk))
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report()


class TestAChannelThatCannotWork:
    def test_one_of_an_unknown_kind_waits_for_somebody_to_mend_it(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        Channel.objects.update(kind="pigeon")
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        assert "no channel of kind 'pigeon'" in fresh(row).last_error
        Channel.objects.update(kind="webhook")
        clock.passes(minutes=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)

    def test_so_does_one_whose_secret_cannot_be_read(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock, settings: Settings
    ) -> None:
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of before"]
        channel = webhook(receiver)
        row = told(channel)
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of now"]
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        assert "MONITORING_ENCRYPTION_KEYS" in fresh(row).last_error
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of now", "the key of before"]
        clock.passes(minutes=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)

    def test_what_was_given_up_meanwhile_is_sent_again_once_it_is_mended(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock, settings: Settings
    ) -> None:
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of before"]
        channel = webhook(receiver)
        row = told(channel)
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of now"]
        for _ in range(2):
            deliver_channel(channel.pk, clock)
            clock.passes(hours=24)
        assert fresh(row).status == "dead"
        settings.MONITORING_ENCRYPTION_KEYS = ["the key of now", "the key of before"]
        outbox.resend(channel.notifications.filter(status="dead"))
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)

    def test_one_that_raises_is_tried_again_and_its_secret_is_told_to_nobody(
        self, told: Told, clock: Clock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(channels._HANDLERS, "odd", Odd())
        channel = Channel.objects.create(name="odd", kind="odd", secrets={"token": "hidden"})
        row = told(channel)
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        channel.refresh_from_db()
        assert fresh(row).last_error == "the channel raised LookupError (its place is in the worker's log)"
        assert "a channel raised LookupError at " in caplog.text
        assert "hidden" not in caplog.text + fresh(row).last_error + channel.last_error

    def test_no_secret_is_in_a_payload_an_error_or_a_log(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("DEBUG")
        channel = webhook(receiver)
        row = told(channel)
        receiver.will(faults.resets, faults.answers(500))
        for _ in range(3):
            deliver_channel(channel.pk, clock)
            clock.passes(minutes=1)
        channel.refresh_from_db()
        assert fresh(row).status == "delivered"
        everything = caplog.text + str(fresh(row).payload) + fresh(row).last_error + receiver.arrivals()[0].body["raw"]
        assert SECRET not in everything
        assert SECRET.removeprefix("whsec_") not in everything
