"""What is due is found at once, however much waits; and who is first in line does not depend on how much that is."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest
from django.db import connection

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import delivery, failing, outbox
from apps.monitoring.notify.delivery import Report, deliver_channel, due_channels
from tests.integration.notify.conftest import Clock, Told, fresh
from tests.integration.notify.rows import MINUTE, alert, log_channel, rule

_COPIES = """
INSERT INTO monitoring_notification (id, channel_id, rule_id, kind, minute, payload, alert_ids, receipt, status, attempts,
    next_attempt_at, last_error, created_at)
SELECT gen_random_uuid(), channel_id, (%s::bigint[])[1 + n %% %s], kind, minute + n * interval '1 minute', payload,
    ARRAY(SELECT generate_series(1, 20) + n), receipt, status, attempts, next_attempt_at, '', created_at + n * interval '1 ms'
FROM monitoring_notification, generate_series(1, %s) n
"""
RULES, ROWS, SECONDS = 9, 20_000, 3.0


@pytest.fixture
def backlog(told: Told, clock: Clock) -> Channel:
    """20,000 notifications of nine rules that wait on one channel: it was away for a day."""
    channel = log_channel("log")
    told(channel)
    rules = [rule(name=f"rule-{number}").pk for number in range(RULES)]
    with connection.cursor() as cursor:
        cursor.execute(_COPIES, [rules, len(rules), ROWS])
        cursor.execute("ANALYZE monitoring_notification")
    clock.passes(minutes=5)
    return channel


def first_ones_wait(clock: Clock) -> None:
    """The first of each rule was tried in vain, and is tried again in an hour."""
    first = Notification.objects.order_by("created_at").values_list("pk", flat=True)[: RULES + 1]
    Notification.objects.filter(pk__in=list(first)).update(next_attempt_at=clock() + timedelta(hours=1))


class TestOf20000:
    """Each took ten seconds to many minutes when every row asked whether there is an older one."""

    def test_what_is_due_is_found_and_taken_at_once(self, backlog: Channel, clock: Clock) -> None:
        began = time.monotonic()
        assert due_channels(clock()) == [backlog.pk]
        assert delivery._claim(backlog.pk, clock()) is not None
        assert time.monotonic() - began < SECONDS

    def test_that_all_wait_behind_those_that_are_tried_later_is_found_at_once(self, backlog: Channel, clock: Clock) -> None:
        first_ones_wait(clock)
        began = time.monotonic()
        assert due_channels(clock()) == []
        assert delivery._claim(backlog.pk, clock()) is None
        assert time.monotonic() - began < SECONDS

    def test_so_it_is_when_their_rules_are_deleted(self, backlog: Channel, clock: Clock) -> None:
        first_ones_wait(clock)
        Notification.objects.update(rule=None)
        began = time.monotonic()
        assert due_channels(clock()) == []
        assert delivery._claim(backlog.pk, clock()) is None
        assert time.monotonic() - began < SECONDS


class TestTheLine:
    def test_of_deleted_rules_is_one(self, told: Told, clock: Clock) -> None:
        channel = log_channel("log")
        one, other = (told(channel, name=name, alerts=[alert(rule(name=name))]) for name in ("one", "other"))
        AlertRule.objects.all().delete()
        Notification.objects.filter(pk=one.pk).update(next_attempt_at=clock() + timedelta(hours=1))
        clock.passes(minutes=1)
        assert deliver_channel(channel.pk, clock) == Report()
        clock.passes(hours=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=2)
        assert fresh(other).status == "delivered"

    def test_a_test_is_by_itself(self, told: Told, clock: Clock) -> None:
        channel = log_channel("log")
        tests = [outbox.send_test(channel) for _ in range(2)]
        Notification.objects.filter(pk=tests[0].pk).update(next_attempt_at=clock() + timedelta(hours=1))
        clock.passes(minutes=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        assert fresh(tests[1]).status == "delivered"

    def test_the_end_of_a_failing_channel_waits_for_its_beginning_and_for_nothing_else(self, told: Told, clock: Clock) -> None:
        channel = log_channel("log", is_default=True)
        broken = Channel.objects.create(name="broken", kind="log", failing_since=clock())
        clock.passes(minutes=11)
        failing.sweep(clock())
        Channel.objects.filter(pk=broken.pk).update(failing_since=None)
        failing.sweep(clock())
        begun = Notification.objects.get(about=broken, kind="firing")
        Notification.objects.filter(pk=begun.pk).update(next_attempt_at=clock() + timedelta(hours=1))
        told(channel)
        clock.passes(minutes=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        clock.passes(hours=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=2)

    def test_one_channel_is_not_held_up_by_another(self, told: Told, clock: Clock) -> None:
        first, second = log_channel("first"), log_channel("second")
        known = rule()
        known.channels.set([first, second])
        outbox.enqueue(known, Notice.FIRING, MINUTE, [outbox.Instance("airline", 0.25, 40, MINUTE, "0.25 > 0.1")])
        Notification.objects.filter(channel=first).update(next_attempt_at=clock() + timedelta(hours=1))
        clock.passes(minutes=1)
        assert due_channels(clock()) == [second.pk]
