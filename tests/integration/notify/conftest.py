"""Receivers, and channels that lead to them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from apps.monitoring.models import Channel, Notification
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver

SECRET = "whsec_" + base64.b64encode(b"twenty-four bytes or more").decode()

MakeChannel = Callable[..., Channel]


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


def fresh(row: Notification) -> Notification:
    """The row as it is now."""
    return Notification.objects.get(pk=row.pk)
