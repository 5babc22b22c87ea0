"""Two beats: one ticks, the other takes over."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from django.db import connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from tests.e2e.parts import Parts, environment_of_tests
from tests.patience import eventually

QUEUE = "probe"


@pytest.fixture
def beats(transactional_db: None, valkey: redis.Redis, tmp_path: Path) -> Iterator[tuple[Parts, Parts]]:
    """Two beats on one database, with a task each second that nobody takes: its messages can be counted."""
    every_second = IntervalSchedule.objects.create(every=1, period=IntervalSchedule.SECONDS)
    PeriodicTask.objects.create(name="probe", task="probe", queue=QUEUE, interval=every_second)
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with Parts(environment_of_tests(), tmp_path / "one") as one, Parts(environment_of_tests(), tmp_path / "two") as two:
        one.start("beat")
        two.start("beat")
        yield one, two


def leads(beat: Parts) -> bool:
    return "this beat leads" in beat.log("beat").read_text()


def test_each_tick_is_sent_once_and_a_killed_leader_is_replaced(beats: tuple[Parts, Parts], redis_url: str) -> None:
    broker = redis.Redis.from_url(redis_url.rpartition("/")[0] + "/1")
    eventually("one of them leads", lambda: any(map(leads, beats)), 30)
    eventually("it ticks", lambda: broker.llen(QUEUE) > 0, 20)
    before, began = broker.llen(QUEUE), time.monotonic()
    eventually("eight more ticks", lambda: broker.llen(QUEUE) >= before + 8, 30)
    took = time.monotonic() - began
    assert took > 6, f"eight ticks of a second in {took:.1f} s: somebody ticks twice"
    leader, standby = sorted(beats, key=leads, reverse=True)
    assert not leads(standby)

    os.killpg(leader.running["beat"].pid, signal.SIGKILL)
    eventually("the standby leads", lambda: leads(standby), 15)
    before = broker.llen(QUEUE)
    eventually("it ticks", lambda: broker.llen(QUEUE) > before, 10)


def test_a_leader_that_loses_its_connection_steps_down_and_somebody_leads_again(
    beats: tuple[Parts, Parts], redis_url: str
) -> None:
    broker = redis.Redis.from_url(redis_url.rpartition("/")[0] + "/1")
    eventually("one of them leads", lambda: any(map(leads, beats)), 30)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'agentmon beat'")
    said = "beat steps down, its connection is gone"
    eventually("it steps down", lambda: sum(said in beat.log("beat").read_text() for beat in beats) == 1, 20)
    eventually("somebody leads again", lambda: sum(beat.log("beat").read_text().count("leads") for beat in beats) == 2, 20)
    before = broker.llen(QUEUE)
    eventually("it ticks", lambda: broker.llen(QUEUE) > before, 10)


def test_beat_adds_nothing_of_its_own_to_the_schedules(beats: tuple[Parts, Parts]) -> None:
    eventually("one of them leads", lambda: any(map(leads, beats)), 30)
    assert list(PeriodicTask.objects.values_list("name", flat=True)) == ["probe"]
