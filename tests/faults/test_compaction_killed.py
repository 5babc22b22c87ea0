"""Compaction and retention that are killed, wherever they are: the next run leaves what an undisturbed one does."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import psycopg
import pytest
import redis

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import RetentionFloor
from apps.monitoring.rollup import partitions, periods, retention
from tests.e2e.parts import ROOT, environment_of_tests
from tests.faults.test_rollup_killed import free
from tests.integration.rollup.stored import clear, compact, roll_up, rows, send
from tests.integration.rollup.test_compaction import LATER, spread
from tests.integration.rollup.test_retention import NOW, counted, day, days_with_minutes, filled
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

Everything = dict[Resolution, Any]

FIRST = [
    ('before UPDATE "monitoring_compaction"', 2),  # the rows are copied, and not noted
    ('after UPDATE "monitoring_compaction"', 3),  # noted, not committed, and the day does not know
    ("after INSERT INTO monitoring_compaction", 1),  # about to commit
    ("before SET LOCAL", 4),  # the hour before is committed
    ("after copy", 2),
]
AGAIN = [
    ("after DELETE FROM monitoring_metricsnapshot", 2),  # the old rows are gone, the new ones not there
    ("after copy", 3),
    ('before UPDATE "monitoring_compaction"', 1),
]


def process(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying_compaction", *map(str, arguments)],
        cwd=ROOT,
        env={**environment_of_tests(), "DJANGO_SETTINGS_MODULE": "config.settings", "MONITORING_RETENTION_MINUTE_DAYS": "10"},
        stderr=subprocess.PIPE,
        text=True,
    )


def dies(*arguments: object) -> None:
    dying = process(*arguments)
    _, said = dying.communicate(timeout=60)
    assert dying.returncode == -signal.SIGKILL, said
    eventually("Postgres has given its locks back", free, 20)


def everything() -> Everything:
    return {resolution: rows(resolution) for resolution in Resolution}


@pytest.mark.parametrize(("point", "nth"), FIRST)
def test_the_next_run_makes_what_a_killed_one_did_not(point: str, nth: int, valkey: redis.Redis) -> None:
    events = spread(120, hours=2)
    send(*events)
    roll_up(LATER)
    compact()
    wanted = everything()
    clear(valkey)
    send(*events)
    roll_up(LATER)
    dies("compact", point, nth)
    compact()
    assert everything() == wanted
    assert periods.stale_shards() == []


@pytest.mark.parametrize(("point", "nth"), AGAIN)
def test_a_killed_repetition_leaves_the_old_rows_and_the_next_run_makes_the_new(
    point: str, nth: int, valkey: redis.Redis
) -> None:
    events = spread(120, hours=2)
    send(*events[::2])
    roll_up(LATER)
    compact()
    send(*events[1::2])
    roll_up(LATER)
    dies("compact", point, nth)
    compact()
    left = everything()
    clear(valkey)
    send(*events)
    roll_up(LATER)
    compact()
    assert everything() == left


RETAIN = [
    ('after INSERT INTO "monitoring_retentionfloor"', 1),
    ("before ALTER TABLE monitoring_metricsnapshot_1m DETACH", 1),
    ("after ALTER TABLE monitoring_metricsnapshot_1m DETACH", 1),
    ("before DROP TABLE", 1),
    ("after DROP TABLE", 1),
]


@pytest.mark.parametrize(("point", "nth"), RETAIN)
def test_a_killed_retention_is_finished_by_the_next_run(point: str, nth: int, settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(1, 20, 30)
    hours = rows(Resolution.HOUR), rows(Resolution.DAY)
    if "INSERT" not in point:
        retention.retain(NOW, HotStore.from_conf())  # the floor is there
    dies("retain", point, nth, (NOW + timedelta(minutes=11)).timestamp())
    for minutes in (22, 33):
        retention.retain(NOW + timedelta(minutes=minutes), HotStore.from_conf())
    assert days_with_minutes() & {day(20), day(30)} == set()
    assert day(1) in days_with_minutes()
    assert (rows(Resolution.HOUR), rows(Resolution.DAY)) == hours
    assert RetentionFloor.objects.count() == 3


def test_killed_while_it_waits_with_a_partition_half_detached(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(1, 30)
    retention.retain(NOW, HotStore.from_conf())
    with psycopg.connect(environment_of_tests()["DATABASE_URL"]) as reader:
        reader.execute("SELECT count(*) FROM monitoring_metricsnapshot")
        running = process("retain", "never", 1, (NOW + timedelta(minutes=11)).timestamp())
        eventually("a partition is half detached", pending, 30)
        running.kill()
        running.communicate()
        eventually("Postgres has given its locks back", free, 20)
        assert pending()
        reader.rollback()
    retention.retain(NOW + timedelta(minutes=22), HotStore.from_conf())
    assert days_with_minutes() & {day(30)} == set()
    assert counted(Resolution.HOUR, 30) == 6


def pending() -> bool:
    return any(partition.pending for partition in partitions.existing(Resolution.MINUTE))
