"""Receivers, and channels that lead to them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pytest_django import Settings

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Alert, AlertRule, Channel, Notification
from apps.monitoring.notify import outbox
from tests.integration.notify.rows import MINUTE, instance, rule
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes or more").decode()

MakeChannel = Callable[..., Channel]
Told = Callable[..., Notification]


class Clock:
    """A time that passes when it is told to.

    It is ahead of the clock on the wall, by which what a test writes falls due: on a busy machine that is a while after the
    test began.
    """

    def __init__(self) -> None:
        self.now = datetime.now(UTC) + timedelta(seconds=30)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **stretch: float) -> None:
        self.now = max(self.now, datetime.now(UTC)) + timedelta(**stretch)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as opened:
        yield opened


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as opened:
        yield opened


@pytest.fixture(autouse=True)
def _may_reach_the_sinks(settings: Settings) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["127.0.0.1"]
    settings.MONITORING_BASE_URL = "https://monitoring.example"


@pytest.fixture
def webhook(db: None) -> MakeChannel:
    """A channel to a receiver."""

    def make(receiver: Receiver, name: str = "hook", **fields: Any) -> Channel:
        return Channel.objects.create(
            name=name, kind="webhook", config={"url": receiver.url}, secrets={"secret": SECRET}, **fields
        )

    return make


@pytest.fixture
def told(db: None) -> Told:
    """Write a notification of a rule to a channel."""

    def write(
        channel: Channel,
        name: str = "error-rate-5m",
        notice: Notice = Notice.FIRING,
        minute: int = MINUTE,
        alerts: Sequence[Alert] = (),
    ) -> Notification:
        known = AlertRule.objects.filter(name=name).first() or rule(name=name)
        known.channels.set([channel])
        instances = [instance(alert.tenant, alert=alert.pk) for alert in alerts] or [instance()]
        (identity,) = outbox.enqueue(known, notice, minute, instances)
        return Notification.objects.get(pk=identity)

    return write


def fresh(row: Notification) -> Notification:
    """The row as it is now."""
    return Notification.objects.get(pk=row.pk)
