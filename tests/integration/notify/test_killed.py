"""A worker that is killed between sending and recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox
from apps.monitoring.notify.delivery import LEASE, Report, deliver_channel, due_channels
from tests.integration.notify.conftest import MakeChannel, fresh
from tests.integration.notify.processes import start
from tests.integration.notify.rows import MINUTE, instance, rule
from tests.patience import eventually
from tests.sinks import faults
from tests.sinks.receiver import Receiver


def told(channel: Channel) -> Notification:
    known = rule()
    known.channels.set([channel])
    (identity,) = outbox.enqueue(known, Notice.FIRING, MINUTE, [instance()])
    return Notification.objects.get(pk=identity)


@pytest.mark.django_db(transaction=True)
def test_it_is_sent_again_under_the_same_id_when_the_lease_is_over(webhook: MakeChannel, receiver: Receiver) -> None:
    channel = webhook(receiver)
    row = told(channel)
    receiver.will(faults.hangs(receiver.released, takes=True))
    worker = start(f"from apps.monitoring.notify.delivery import deliver_channel\ndeliver_channel({channel.pk})")
    try:
        eventually("it arrives", receiver.arrivals)
    finally:
        worker.kill()
        worker.communicate()
    assert worker.returncode == -9
    assert fresh(row).status == "pending"

    before = datetime.now(UTC) + LEASE - timedelta(seconds=30)
    assert due_channels(before) == []
    assert deliver_channel(channel.pk, lambda: before) == Report()

    after = datetime.now(UTC) + LEASE
    assert due_channels(after) == [channel.pk]
    assert deliver_channel(channel.pk, lambda: after) == Report(delivered=1)
    assert receiver.ids() == [str(row.pk)] * 2
    assert (fresh(row).status, fresh(row).attempts) == ("delivered", 2)
