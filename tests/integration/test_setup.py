"""`manage.py setup_monitoring` makes what is missing, whatever is there."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from apps.monitoring.models import Channel
from apps.monitoring.schedules import SCHEDULES

pytestmark = pytest.mark.django_db


def set_up() -> None:
    call_command("setup_monitoring", stdout=io.StringIO())


def test_an_interval_that_is_there_twice_is_no_obstacle() -> None:
    for _ in range(2):
        IntervalSchedule.objects.create(every=SCHEDULES[0].every_seconds, period=IntervalSchedule.SECONDS)
    set_up()
    assert set(PeriodicTask.objects.values_list("name", flat=True)) >= {one.name for one in SCHEDULES}


def test_secrets_that_cannot_be_read_any_more_are_no_obstacle(settings: Any) -> None:
    settings.MONITORING_WEBHOOK_URL = "https://93.184.215.14/"
    settings.MONITORING_ENCRYPTION_KEYS = ["an earlier one"]
    set_up()
    names = set(Channel.without_secrets.values_list("name", flat=True))
    settings.MONITORING_ENCRYPTION_KEYS = ["the one of today"]
    Channel.without_secrets.filter(name="log").delete()
    set_up()
    assert set(Channel.without_secrets.values_list("name", flat=True)) == names >= {"log", "webhook"}
