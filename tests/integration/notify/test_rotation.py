"""Keys are changed without losing a secret."""

from __future__ import annotations

import json
from io import StringIO

import pytest
from django.core.management import call_command
from django.db import connection
from pytest_django import Settings

from apps.monitoring.models import Channel

pytestmark = pytest.mark.django_db


def rotate() -> dict[str, list[str]]:
    said = StringIO()
    call_command("rotate_secrets", "--json", stdout=said)
    return dict(json.loads(said.getvalue()))


def test_afterwards_the_old_key_is_not_needed(settings: Settings) -> None:
    settings.MONITORING_ENCRYPTION_KEYS = ["old"]
    Channel.objects.create(name="a", kind="webhook", secrets={"secret": "s"})
    settings.MONITORING_ENCRYPTION_KEYS = ["new", "old"]
    assert rotate() == {"rotated": ["a"], "unreadable": []}
    settings.MONITORING_ENCRYPTION_KEYS = ["new"]
    assert Channel.objects.get().secrets == {"secret": "s"}


def test_what_cannot_be_read_is_named_and_left_for_the_day_its_key_is_found(settings: Settings) -> None:
    settings.MONITORING_ENCRYPTION_KEYS = ["lost"]
    Channel.objects.create(name="a", kind="webhook", secrets={"secret": "s"})
    settings.MONITORING_ENCRYPTION_KEYS = ["new"]
    Channel.objects.create(name="b", kind="webhook", secrets={"secret": "t"})
    before = stored("a")
    with pytest.raises(SystemExit, match="1"):
        rotate()
    assert stored("a") == before
    settings.MONITORING_ENCRYPTION_KEYS = ["new", "lost"]
    assert {channel.name: channel.secrets["secret"] for channel in Channel.objects.all()} == {"a": "s", "b": "t"}


def stored(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM monitoring_channel WHERE name = %s", [name])
        return str(cursor.fetchone()[0])
