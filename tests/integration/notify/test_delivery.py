"""What is due is delivered, in order, at least once; what fails for now is tried again."""

from __future__ import annotations

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import transaction

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.ingest import recorder
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import channels, delivery
from apps.monitoring.notify.channels.outcome import Rejected, Retry
from apps.monitoring.notify.delivery import Report, deliver_channel, due_channels
from tests.integration.notify.conftest import Clock, MakeChannel, Told, fresh
from tests.integration.notify.odd import Odd
from tests.integration.notify.processes import at_once
from tests.integration.notify.rows import MINUTE
from tests.patience import eventually
from tests.sessions import somebody_waits_for_a_lock
from tests.sinks import faults
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver

START = datetime.now(UTC)


class TestDelivered:
    def test_everything_that_is_due_goes_out_oldest_first(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        rows = [told(channel, minute=MINUTE + n) for n in range(5)]
        assert deliver_channel(channel.pk, clock) == Report(delivered=5)
        assert receiver.ids() == [str(row.pk) for row in rows]
        row = fresh(rows[0])
        assert (row.status, row.attempts, row.leased_until, row.delivered_at) == ("delivered", 1, None, clock.now)

    def test_what_is_delivered_is_not_sent_again(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        told(channel)
        deliver_channel(channel.pk, clock)
        assert deliver_channel(channel.pk, clock) == Report()
        assert len(receiver.attempts) == 1

    def test_what_befalls_it_is_counted(self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock) -> None:
        counters = recorder.recorder().flusher.counters
        before = Counter(counters)
        channel = webhook(receiver)
        told(channel)
        told(channel, minute=MINUTE + 1)
        receiver.will(faults.answers(500), faults.none, faults.answers(404))
        deliver_channel(channel.pk, clock)
        clock.passes(minutes=1)
        deliver_channel(channel.pk, clock)
        news = {name: number - before[name] for name, number in counters.items() if name.startswith("notifications_")}
        assert {name: number for name, number in news.items() if number} == {
            "notifications_delivered": 1, "notifications_retried": 1, "notifications_given_up": 1,
        }  # fmt: skip

    def test_the_channel_remembers_when_it_last_worked(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver, failing_since=START, last_error="before")
        told(channel)
        deliver_channel(channel.pk, clock)
        channel.refresh_from_db()
        assert (channel.last_success_at, channel.failing_since, channel.last_error) == (clock.now, None, "")

    def test_a_channel_that_is_switched_off_is_left_alone(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        told(channel)
        Channel.objects.update(enabled=False)
        assert due_channels(clock()) == []
        assert deliver_channel(channel.pk, clock) == Report()

    def test_the_sweep_finds_what_is_due(self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock) -> None:
        channel, other = webhook(receiver), webhook(receiver, "other")
        told(channel)
        told(other, name="another-rule")
        assert due_channels(clock()) == [channel.pk, other.pk]
        deliver_channel(channel.pk, clock)
        assert due_channels(clock()) == [other.pk]


class TestTriedAgain:
    def test_with_growing_delays_until_it_works_under_one_id(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        receiver.will(*[faults.answers(503)] * 4)
        waits = []
        for _ in range(4):
            assert deliver_channel(channel.pk, clock) == Report(failed=1)
            assert deliver_channel(channel.pk, clock) == Report()  # not due yet
            waits.append((fresh(row).next_attempt_at - clock.now).total_seconds())
            clock.passes(seconds=waits[-1])
        assert waits == sorted(waits)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        assert {attempt["webhook-id"] for attempt in receiver.attempts} == {str(row.pk)}
        assert fresh(row).attempts == 5

    def test_not_before_the_time_that_the_receiver_names_and_nothing_else_either(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        told(channel)
        told(channel, name="another-rule")
        receiver.will(faults.answers(429, Retry_After="600"))
        deliver_channel(channel.pk, clock)
        clock.passes(seconds=599)
        assert deliver_channel(channel.pk, clock) == Report()
        assert due_channels(clock()) == []
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=2)

    @pytest.mark.parametrize("after", ["60", float("inf"), float("nan"), 10**400, 1e300])
    def test_within_six_hours_whatever_time_is_named(
        self, told: Told, clock: Clock, monkeypatch: pytest.MonkeyPatch, after: Any
    ) -> None:
        monkeypatch.setitem(channels._HANDLERS, "odd", Odd(Retry("later", after)))
        channel = Channel.objects.create(name="odd", kind="odd")
        row = told(channel)
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        assert fresh(row).next_attempt_at <= clock.now + timedelta(hours=6)
        channel.refresh_from_db()
        assert channel.paused_until is None or channel.paused_until <= clock.now + timedelta(hours=6)

    def test_a_receiver_that_is_down_costs_one_attempt_a_run(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        for n in range(10):
            told(channel, name=f"rule-{n}")
        receiver.always(faults.answers(500))
        assert deliver_channel(channel.pk, clock) == Report(failed=1)
        assert len(receiver.attempts) == 1

    def test_what_it_said_is_kept_on_the_notification_and_on_the_channel(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        receiver.always(faults.answers(500))
        deliver_channel(channel.pk, clock)
        began = clock.now
        clock.passes(minutes=5)
        deliver_channel(channel.pk, clock)
        channel.refresh_from_db()
        assert (channel.last_error, channel.failing_since) == ("the receiver answered 500", began)
        assert fresh(row).last_error == "the receiver answered 500"

    def test_a_resolved_notice_never_overtakes_its_firing(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        firing = told(channel)
        receiver.will(faults.answers(500))
        deliver_channel(channel.pk, clock)
        resolved = told(channel, notice=Notice.RESOLVED, minute=MINUTE + 1)
        other = told(channel, name="another-rule")
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        assert receiver.ids() == [str(other.pk)]
        clock.passes(minutes=1)
        deliver_channel(channel.pk, clock)
        assert receiver.ids() == [str(row.pk) for row in (other, firing, resolved)]

    def test_mail_to_a_server_that_is_down_ten_minutes_arrives_once(self, mailbox: Mailbox, told: Told, clock: Clock) -> None:
        channel = Channel.objects.create(
            name="mail", kind="email", config={"to": ["ops@example.com"], "from": "m@example.com"}, secrets={"url": mailbox.url}
        )
        rows = [told(channel, name=f"rule-{n}") for n in range(3)]
        mailbox.down()
        for _ in range(10):
            deliver_channel(channel.pk, clock)
            clock.passes(minutes=1)
        mailbox.up()
        for _ in range(20):
            clock.passes(minutes=1)
            deliver_channel(channel.pk, clock)
        assert sorted(mail.headers["x-notification-id"] for mail in mailbox.arrivals()) == sorted(str(row.pk) for row in rows)


@pytest.mark.django_db(transaction=True)
class TestSideBySide:
    def test_several_runs_on_one_channel_send_everything_once_and_in_order(
        self, webhook: MakeChannel, receiver: Receiver, told: Told
    ) -> None:
        channel = webhook(receiver)
        rows = [told(channel, name=f"rule-{n}") for n in range(20)]
        reports = at_once(*[lambda: deliver_channel(channel.pk)] * 4)
        assert sum(report.delivered for report in reports) == 20
        assert receiver.ids() == [str(row.pk) for row in rows]

    def test_a_claim_waits_for_another_that_is_not_yet_committed(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        claimed = threading.Event()

        def slow() -> Notification | None:
            with transaction.atomic():
                mine = delivery._claim(channel.pk, clock())
                claimed.set()
                eventually("the other one waits", somebody_waits_for_a_lock)
            return mine

        assert at_once(slow, lambda: delivery._claim(channel.pk, clock()), when=claimed.is_set) == [row, None]

    def test_a_channel_that_hangs_does_not_delay_another(self, webhook: MakeChannel, receiver: Receiver, told: Told) -> None:
        with Receiver() as stuck:
            stuck.always(faults.hangs(stuck.released))
            hanging, working = webhook(stuck, "stuck"), webhook(receiver)
            row = told(hanging)
            told(working, name="another-rule")

            def meanwhile() -> Report:
                report = deliver_channel(working.pk)
                assert fresh(row).leased_until is not None  # the other is still at it
                stuck.released.set()
                return report

            reports = at_once(lambda: deliver_channel(hanging.pk), meanwhile, when=lambda: bool(stuck.attempts))
        assert reports == [Report(failed=1), Report(delivered=1)]

    def test_new_notifications_are_written_while_a_channel_sends(
        self, webhook: MakeChannel, receiver: Receiver, told: Told
    ) -> None:
        channel = webhook(receiver)
        told(channel)
        receiver.will(faults.hangs(receiver.released))

        def meanwhile() -> Report:
            told(channel, name="another-rule")
            assert deliver_channel(channel.pk) == Report()  # another run has the channel
            receiver.released.set()
            return Report()

        at_once(lambda: deliver_channel(channel.pk), meanwhile, when=lambda: bool(receiver.attempts))
        assert Notification.objects.count() == 2

    def test_a_run_whose_lease_ran_out_does_not_bury_what_another_delivered(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        row = told(channel)
        slow = delivery._claim(channel.pk, clock())
        assert slow is not None
        clock.passes(seconds=61)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        delivery._record(slow, Rejected("too late"), clock(), Report())
        assert fresh(row).status == "delivered"
