"""A roll-up that is killed, wherever it is: after the next run the snapshots are those of an undisturbed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
import pytest
import redis

from apps.monitoring.core.clock import minute_of, to_minute
from apps.monitoring.models import ShardProgress
from apps.monitoring.query.source import watermark
from tests.e2e.parts import ROOT, environment_of_tests
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import AFTER, Row, clear, roll_up, rows, send, some
from tests.patience import eventually
from tests.sessions import newcomers, others, somebody_waits_for_a_lock

pytestmark = pytest.mark.usefixtures("stores")

Snapshots = dict[Row, tuple[Any, ...]]

POINTS = [
    ("before seal", 1),
    ("after seal", 1),
    ("after chunks", 3),
    ("before SELECT w.tenant, w.metric, w.labels", 2),
    ('before INSERT INTO "monitoring_rollupbatch"', 2),  # the rows are copied, the batch is not noted
    ('after INSERT INTO "monitoring_rollupbatch"', 3),  # noted and not committed
    ("before drop", 2),  # committed and not dropped
    ("after drop", 3),  # dropped, and the next batch is still there
]
WATERMARK_POINTS = ["before INSERT INTO monitoring_shardprogress", "after INSERT INTO monitoring_shardprogress"]
LATE_POINTS = [
    ("before DELETE FROM monitoring_metricsnapshot", 1),  # about to take back what an earlier batch wrote
    ("after DELETE FROM monitoring_metricsnapshot", 2),
    ('after INSERT INTO "monitoring_rollupbatch"', 1),
    ("before drop", 1),
]


def process(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.faults.dying", *map(str, arguments)],
        cwd=ROOT,
        env={**environment_of_tests(), "DJANGO_SETTINGS_MODULE": "config.settings"},
        stderr=subprocess.PIPE,
        text=True,
    )


def dies(point: str, nth: int) -> None:
    dying = process(point, nth)
    _, said = dying.communicate(timeout=60)
    assert dying.returncode == -signal.SIGKILL, said
    noticed()


def noticed() -> None:
    """Postgres takes a moment to see that a client is gone, and to give its locks back."""
    eventually("Postgres has given its locks back", free, 20)


def undisturbed(valkey: redis.Redis, *parts: list[Any]) -> Snapshots:
    """What one run after another makes of the parts when nobody kills them; the stores are empty after."""
    for part in parts:
        send(*part)
        roll_up()
    wanted = rows()
    clear(valkey)
    return wanted


@pytest.mark.parametrize(("point", "nth"), POINTS)
def test_the_next_run_repairs_what_a_kill_left(point: str, nth: int, valkey: redis.Redis) -> None:
    events = some(200)
    wanted = undisturbed(valkey, events)
    send(*events)
    dies(point, nth)
    roll_up()
    assert rows() == wanted
    assert watermark(8) is not None
    assert [key for key in valkey.scan_iter("*") if ":w:" not in key] == []


@pytest.mark.parametrize("earlier", [False, True], ids=["its first", "a later one"])
@pytest.mark.parametrize("point", WATERMARK_POINTS)
def test_the_next_run_moves_a_watermark_that_a_kill_left(point: str, *, earlier: bool, valkey: redis.Redis) -> None:
    events = some(200)
    wanted = undisturbed(valkey, events)
    send(*events)
    until = minute_of(AFTER)
    if earlier:
        roll_up(MINUTE * 60.0)  # there is a watermark to move
    known = reached()
    dies(point, 3)
    moved = {number for number, minute in reached().items() if minute != known.get(number)}
    assert moved == set(range(2 if point.startswith("before") else 3))
    roll_up(time.time())
    assert rows() == wanted
    assert watermark(8) >= until
    assert [key for key in valkey.scan_iter("*") if ":w:" not in key] == []


def reached() -> dict[int, int]:
    """The watermark of each shard that has one."""
    return {number: to_minute(until) for number, until in ShardProgress.objects.values_list("shard", "complete_until")}


@pytest.mark.parametrize(("point", "nth"), LATE_POINTS)
def test_the_next_run_repairs_what_a_kill_left_of_late_records(point: str, nth: int, valkey: redis.Redis) -> None:
    first, late = some(150, seed=1), some(150, seed=2)
    wanted = undisturbed(valkey, first, late)
    send(*first)
    roll_up()
    send(*late)
    dies(point, nth)
    roll_up()
    assert rows() == wanted


def test_killed_again_and_again_it_still_counts_everything_once(valkey: redis.Redis) -> None:
    events = some(200)
    wanted = undisturbed(valkey, events)
    send(*events)
    for point, nth in [
        ("after seal", 3),
        ('after INSERT INTO "monitoring_rollupbatch"', 2),
        ("before drop", 1),
        ("after drop", 2),
    ]:
        dies(point, nth)
    roll_up()
    assert rows() == wanted


def test_killed_at_any_moment_while_records_keep_coming_it_counts_everything_once(valkey: redis.Redis) -> None:
    generator = random.Random(5)
    events = [interaction(n % 50, f"tenant-{n % 30}", MINUTE + n % 25) for n in range(3_000)]
    wanted = undisturbed(valkey, events)
    for part in range(6):
        send(*events[part::6])
        before = others()
        running = process("never", 1)
        eventually("it has connected to Postgres", partial(newcomers, before))
        time.sleep(generator.uniform(0, 0.25))  # not a wait for anything: the moment of the kill is drawn
        running.kill()
        running.communicate()
        noticed()
    roll_up()
    assert rows() == wanted


@contextmanager
def table_locked() -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(environment_of_tests()["DATABASE_URL"]) as connection:
        connection.execute("LOCK TABLE monitoring_rollupbatch IN SHARE MODE")
        yield connection
        connection.rollback()


def test_killed_from_outside_while_it_waits_for_postgres(valkey: redis.Redis) -> None:
    events = some(200)
    wanted = undisturbed(valkey, events)
    send(*events)
    running = process("never", 1)
    with table_locked():
        eventually("the roll-up waits with its rows copied", somebody_waits_for_a_lock, 30)
        running.kill()
        running.communicate()
        assert running.returncode == -signal.SIGKILL
    noticed()
    roll_up()
    assert rows() == wanted


def free() -> bool:
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        return not cursor.fetchone()[0]


def test_killed_from_outside_while_valkey_keeps_it_waiting(valkey: redis.Redis) -> None:
    events = some(200)
    wanted = undisturbed(valkey, events)
    send(*events)
    valkey.execute_command("CLIENT", "PAUSE", 20_000, "WRITE")
    try:
        running = process("never", 1)
        eventually("a client of Valkey is blocked", lambda: int(valkey.info("clients")["blocked_clients"]) > 0, 30)
        running.kill()
        running.communicate()
    finally:
        valkey.execute_command("CLIENT", "UNPAUSE")
    noticed()
    roll_up()
    assert rows() == wanted


def test_a_killed_worker_of_celery_loses_and_repeats_nothing(valkey: redis.Redis, tmp_path: Any) -> None:
    from tests.e2e.parts import Parts
    from workers.app import app

    events = some(200)
    wanted = undisturbed(valkey, events)
    send(*events)
    ask: Callable[[], Any] = lambda: app.send_task("monitoring.rollup", queue="rollup")  # noqa: E731
    with Parts(environment_of_tests(), tmp_path) as parts, table_locked() as lock:
        parts.start("worker")
        ask()
        eventually("a worker waits with its rows copied", somebody_waits_for_a_lock, 60, parts.told)
        os.killpg(parts.running["worker"].pid, signal.SIGKILL)
        parts.running["worker"].wait()
        lock.rollback()
        parts.start("worker")
        ask()
        eventually("everything is rolled up", lambda: rows() == wanted, 60, parts.told)
    assert [key for key in valkey.keys("agentmon:*") if ":w:" not in key] == []
