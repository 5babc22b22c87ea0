"""What a channel cannot deliver goes to its fallback as well, once; and that it fails is told elsewhere."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import broken, failing, fallback, outbox
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.notify.sweep import sweep
from tests.integration.notify.conftest import Clock, MakeChannel, Told
from tests.integration.notify.processes import at_once
from tests.integration.notify.rows import MINUTE, alert, instance, log_channel, rule
from tests.sinks import faults
from tests.sinks.receiver import Receiver


@pytest.fixture
def stand_in(db: None) -> Channel:
    return log_channel("stand-in")


@pytest.fixture
def hook(webhook: MakeChannel, receiver: Receiver, stand_in: Channel) -> Channel:
    return webhook(receiver, fallback=stand_in)


def copies() -> list[Notification]:
    return list(Notification.objects.filter(fallback_of__isnull=False).order_by("created_at"))


class TestTheFallback:
    def test_it_is_told_once_when_the_time_is_over_and_says_why(
        self, hook: Channel, stand_in: Channel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        row = told(hook)
        receiver.always(faults.answers(500))
        clock.passes(minutes=4)
        sweep(clock())
        assert copies() == []
        clock.passes(minutes=1)
        for _ in range(3):
            deliver_channel(hook.pk, clock)
            sweep(clock())
            clock.passes(minutes=5)
        (copy,) = copies()
        assert (copy.channel, copy.fallback_of, copy.kind, copy.minute) == (stand_in, row, row.kind, row.minute)
        assert copy.payload["id"] == str(copy.pk) != row.payload["id"]
        assert copy.payload["text"].startswith(row.payload["text"] + " Sent here because hook has not delivered it since ")
        assert Notification.objects.get(pk=row.pk).status == "pending"

    def test_at_once_when_it_is_given_up(self, hook: Channel, receiver: Receiver, told: Told, clock: Clock) -> None:
        told(hook)
        receiver.always(faults.answers(404))
        clock.passes(seconds=1)
        deliver_channel(hook.pk, clock)
        (copy,) = copies()
        assert copy.payload["text"].endswith("Sent here because hook gave it up: the receiver answered 404.")

    @pytest.mark.django_db(transaction=True)
    def test_nothing_is_given_up_while_the_database_does_not_take_the_copy(
        self, hook: Channel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        row = told(hook)
        receiver.always(faults.answers(404))
        clock.passes(seconds=1)
        with connection.cursor() as cursor:
            cursor.execute(
                "ALTER TABLE monitoring_notification ADD CONSTRAINT no_copies CHECK (fallback_of_id IS NULL) NOT VALID"
            )
            with pytest.raises(DatabaseError, match="no_copies"):
                deliver_channel(hook.pk, clock)
            cursor.execute("ALTER TABLE monitoring_notification DROP CONSTRAINT no_copies")
        assert (Notification.objects.get(pk=row.pk).status, copies()) == ("pending", [])
        clock.passes(minutes=10)
        deliver_channel(hook.pk, clock)
        assert Notification.objects.get(pk=row.pk).status == "dead"
        assert len(copies()) == 1

    def test_not_when_it_is_told_anyway(self, hook: Channel, stand_in: Channel, told: Told, clock: Clock) -> None:
        known = rule()
        known.channels.set([hook, stand_in])
        outbox.enqueue(known, Notice.FIRING, MINUTE, [instance()])
        clock.passes(minutes=6)
        assert fallback.sweep(clock()) == 0

    def test_not_when_it_was_told_by_a_rule_that_is_deleted(self, hook: Channel, stand_in: Channel, clock: Clock) -> None:
        known, begun = rule(), alert(rule(name="another"))
        known.channels.set([hook, stand_in])
        for minute, notice in enumerate((Notice.FIRING, Notice.REMINDER, Notice.RESOLVED), MINUTE):
            outbox.enqueue(known, notice, minute, [instance(alert=begun.pk)])
        known.delete()
        clock.passes(minutes=6)
        assert fallback.sweep(clock()) == 0
        deliver_channel(hook.pk, clock)
        assert copies() == []

    def test_not_by_two_channels_whose_fallback_it_is(
        self, hook: Channel, stand_in: Channel, webhook: MakeChannel, receiver: Receiver, clock: Clock
    ) -> None:
        known, begun = rule(), alert(rule(name="another"))
        known.channels.set([hook, webhook(receiver, "other", fallback=stand_in)])
        outbox.enqueue(known, Notice.FIRING, MINUTE, [instance(alert=begun.pk)])
        clock.passes(minutes=6)
        assert fallback.sweep(clock()) == 1
        outbox.enqueue(known, Notice.RESOLVED, MINUTE + 1, [instance(alert=begun.pk)])
        known.delete()
        clock.passes(minutes=6)
        assert fallback.sweep(clock()) == 0

    @pytest.mark.parametrize("what", ["broken rules", "alerts"])
    def test_what_is_told_anyway_stands_before_nothing(
        self, what: str, hook: Channel, stand_in: Channel, told: Told, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fallback, "_AT_ONCE", 3)
        for number in range(3):
            one = rule(name=f"r{number}", error="KeyError: 'x'" * (what == "broken rules"), error_since=clock())
            one.channels.set([hook, stand_in])
            if what == "alerts":
                outbox.enqueue(one, Notice.FIRING, MINUTE, [instance(alert=number)])
        broken.sweep(clock())
        row = told(hook, "another")
        clock.passes(minutes=6)
        assert fallback.sweep(clock()) == 1
        assert [copy.fallback_of for copy in copies()] == [row]

    def test_not_when_one_of_the_two_is_switched_off(self, hook: Channel, stand_in: Channel, told: Told, clock: Clock) -> None:
        told(hook)
        clock.passes(minutes=6)
        for off in (hook, stand_in):
            Channel.objects.update(enabled=True)
            Channel.objects.filter(pk=off.pk).update(enabled=False)
            assert fallback.sweep(clock()) == 0

    def test_two_that_stand_in_for_each_other_do_not_play_ping_pong(
        self, hook: Channel, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        other = webhook(receiver, "other", fallback=hook)
        Channel.objects.filter(pk=hook.pk).update(fallback=other)
        told(hook)
        receiver.always(faults.answers(500))
        for _ in range(5):
            clock.passes(minutes=6)
            deliver_channel(hook.pk, clock)
            deliver_channel(other.pk, clock)
            sweep(clock())
        assert Notification.objects.filter(about=None).count() == 2

    def test_a_copy_that_is_given_up_goes_nowhere_else(
        self, hook: Channel, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        other = webhook(receiver, "other", fallback=log_channel("third"))
        Channel.objects.filter(pk=hook.pk).update(fallback=other)
        told(hook)
        receiver.always(faults.answers(404))
        clock.passes(seconds=1)
        deliver_channel(hook.pk, clock)
        deliver_channel(other.pk, clock)
        assert set(Notification.objects.values_list("channel__name", "status")) == {("hook", "dead"), ("other", "dead")}

    def test_what_was_delivered_in_time_ends_in_its_place_alone(self, hook: Channel, told: Told, clock: Clock) -> None:
        fired = alert(rule())
        told(hook, alerts=[fired])
        told(hook, notice=Notice.RESOLVED, alerts=[fired], minute=MINUTE + 1)
        clock.passes(seconds=1)
        deliver_channel(hook.pk, clock)
        assert copies() == []


class TestAChannelThatFails:
    @pytest.fixture
    def others(self, hook: Channel) -> list[Channel]:
        log_channel("unused")
        return [log_channel("a", is_default=True), log_channel("b", is_default=True)]

    def fails(self, clock: Clock, minutes: int = 11) -> None:
        since = clock() - timedelta(minutes=minutes)
        Channel.objects.filter(name="hook").update(failing_since=since, last_error="the receiver answered 500", failures=5)

    def works(self) -> None:
        Channel.objects.filter(name="hook").update(failing_since=None, last_error="", failures=0)

    def said(self) -> list[tuple[str, str]]:
        rows = Notification.objects.filter(about__name="hook").order_by("created_at", "channel__name")
        return list(rows.values_list("kind", "channel__name"))

    def test_is_told_on_the_others_once_and_never_on_itself(self, others: list[Channel], hook: Channel, clock: Clock) -> None:
        Channel.objects.filter(pk=hook.pk).update(is_default=True)
        self.fails(clock, minutes=9)
        assert failing.sweep(clock()) == 0
        self.fails(clock)
        for _ in range(5):
            sweep(clock())
        assert self.said() == [("firing", "a"), ("firing", "b"), ("firing", "stand-in")]
        row = Notification.objects.filter(about=hook).first()
        assert row is not None
        assert row.payload["text"].startswith("The channel hook fails: the receiver answered 500.")

    def test_and_told_again_when_it_works(self, others: list[Channel], clock: Clock) -> None:
        self.fails(clock)
        failing.sweep(clock())
        self.works()
        for _ in range(3):
            failing.sweep(clock())
        assert [kind for kind, _ in self.said()] == ["firing"] * 3 + ["resolved"] * 3

    def test_one_that_is_off_when_it_works_again_is_told_when_it_is_back(
        self, hook: Channel, others: list[Channel], clock: Clock
    ) -> None:
        self.fails(clock)
        failing.sweep(clock())
        Channel.objects.filter(name="a").update(enabled=False)
        self.works()
        failing.sweep(clock())
        assert ("resolved", "a") in self.said()

    def test_and_told_that_it_is_over_when_it_is_deleted(self, hook: Channel, others: list[Channel], clock: Clock) -> None:
        self.fails(clock)
        failing.sweep(clock())
        hook.delete()
        for _ in range(3):
            failing.sweep(clock())
        ends = Notification.objects.filter(kind="resolved").order_by("channel__name")
        assert [end.channel.name for end in ends] == ["a", "b", "stand-in"]
        assert {end.payload["text"] for end in ends} == {"The channel hook was deleted."}

    def test_but_not_again_when_it_is_deleted_after_its_end_was_told(
        self, hook: Channel, others: list[Channel], clock: Clock
    ) -> None:
        for _ in range(2):
            self.fails(clock)
            failing.sweep(clock())
            self.works()
            failing.sweep(clock())
            clock.passes(minutes=70)
        before = Notification.objects.count()
        hook.delete()
        assert failing.sweep(clock()) == 0
        assert Notification.objects.count() == before

    def test_the_end_does_not_overtake_the_beginning(
        self, hook: Channel, webhook: MakeChannel, receiver: Receiver, clock: Clock
    ) -> None:
        other = webhook(receiver, "other", is_default=True)
        Channel.objects.filter(pk=hook.pk).update(fallback=None)
        self.fails(clock)
        failing.sweep(clock())
        clock.passes(seconds=1)
        receiver.will(faults.answers(500))
        deliver_channel(other.pk, clock)
        Channel.objects.filter(name="other").update(failing_since=None)
        self.works()
        failing.sweep(clock())
        deliver_channel(other.pk, clock)
        assert receiver.arrivals() == []
        clock.passes(minutes=1)
        deliver_channel(other.pk, clock)
        assert [arrival.body["kind"] for arrival in receiver.arrivals()] == ["firing", "resolved"]

    def test_one_that_comes_and_goes_is_told_once_an_hour(self, others: list[Channel], clock: Clock) -> None:
        for _ in range(12):
            self.fails(clock)
            failing.sweep(clock())
            self.works()
            failing.sweep(clock())
            clock.passes(minutes=5)
        assert len(self.said()) == 6

    def test_those_that_fail_themselves_are_spared_while_one_works(self, others: list[Channel], clock: Clock) -> None:
        Channel.objects.filter(name__in=["a", "stand-in"]).update(failing_since=clock())
        self.fails(clock)
        failing.sweep(clock())
        assert self.said() == [("firing", "b")]

    def test_when_all_fail_each_is_told_of_the_others_and_none_of_itself(self, others: list[Channel], clock: Clock) -> None:
        Channel.objects.update(is_default=True, failing_since=clock() - timedelta(minutes=11))
        failing.sweep(clock())
        told = set(Notification.objects.values_list("about__name", "channel__name"))
        names = set(Channel.objects.values_list("name", flat=True))
        assert told == {(one, another) for one in names for another in names if one != another}

    def test_a_secret_that_cannot_be_read_hinders_nothing(self, others: list[Channel], clock: Clock) -> None:
        from django.db import connection

        with connection.cursor() as cursor:
            cursor.execute("UPDATE monitoring_channel SET secrets = 'broken'")
        self.fails(clock)
        sweep(clock())
        assert len(self.said()) == 3

    @pytest.mark.parametrize("how", ["works again", "was deleted"])
    def test_an_incident_about_it_is_closed(self, how: str, hook: Channel, receiver: Receiver, clock: Clock) -> None:
        duty = Channel.objects.create(
            name="duty",
            kind="pagerduty",
            is_default=True,
            config={"url": receiver.pagerduty_url},
            secrets={"routing_key": "k" * 32},
        )
        self.fails(clock)
        failing.sweep(clock())
        if how == "was deleted":
            hook.delete()
        else:
            self.works()
        failing.sweep(clock())
        clock.passes(seconds=1)
        deliver_channel(duty.pk, clock)
        events = [(a.body["event_action"], a.body["dedup_key"]) for a in receiver.arrivals("pagerduty")]
        assert [action for action, _ in events] == ["trigger", "resolve"]
        assert len({key for _, key in events}) == 1


def test_a_rule_that_is_gone_leaves_what_waits(hook: Channel, told: Told, clock: Clock) -> None:
    told(hook)
    AlertRule.objects.all().delete()
    clock.passes(minutes=6)
    assert fallback.sweep(clock()) == 1
    assert fallback.sweep(clock()) == 0


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_the_same_time_tell_once(hook: Channel, told: Told, clock: Clock) -> None:
    log_channel("a", is_default=True)
    told(hook)
    Channel.objects.filter(pk=hook.pk).update(failing_since=clock() - timedelta(minutes=11))
    clock.passes(minutes=6)
    at_once(*[lambda: sweep(clock())] * 6)
    assert len(copies()) == 1
    assert Notification.objects.filter(about=hook).count() == 2  # one for each of the others
    hook.delete()
    at_once(*[lambda: sweep(clock())] * 6)
    assert Notification.objects.filter(about__isnull=False, kind="resolved").count() == 2
