"""A Celery worker killed anywhere leaves, after the next run, the snapshots of an undisturbed run."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.flusher import Flusher
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import MetricSnapshot, RollupBatch, Series, ShardProgress
from apps.monitoring.rollup import batches, shards
from tests.e2e.parts import ROOT, environment_of_tests
from tests.faults.test_rollup_killed import noticed
from tests.unit.ingest.made import flat

START = 1_767_571_200.0
POINTS = (
    "before the seal",
    "after the seal",
    "before the batch is noted",
    "before the commit",
    "after the commit, before the drop leaves",
    "after the drop",
    "before the watermark is committed",
)

Rows = dict[tuple[str, str, str, str, int], tuple[object, ...]]


def record() -> None:
    """Three minutes of four tenants, in two flushes of two writers."""
    for writer in range(2):
        buffer = Buffer(100)
        flusher = Flusher(buffer, HotStore.from_conf(), 1_000_000)
        for index in range(60):
            arguments = {
                "conversation_id": f"c{index % 7}", "customer_message": None, "agent_response": "yes", "model_used": f"m{index % 2}",
                "confidence_score": 0.5, "processing_time_ms": 100.0 + 37 * index + writer, "token_usage": {"prompt_tokens": index, "completion_tokens": 2},
                "estimated_cost": 0.001 * index, "handoff_triggered": index % 9 == 0, "handoff_reason": "asked", "intent": None, "errors": (),
            }  # fmt: skip
            buffer.merge([flat("agent_interaction", f"tenant-{index % 4}", time.time(), START + 60 * (index % 3), arguments)])
        assert flusher.flush()


def rows() -> Rows:
    return {
        (row.series.tenant, row.series.metric, row.series.labels, str(row.ts), row.part): (
            row.count, row.sum, row.min, row.max, None if row.data is None else bytes(row.data)
        )
        for row in MetricSnapshot.objects.select_related("series")
    }  # fmt: skip


def forget_everything(valkey: redis.Redis) -> None:
    valkey.flushall()
    for model in (MetricSnapshot, RollupBatch, ShardProgress, Series):
        model.objects.all().delete()
    batches.forget()


@pytest.mark.parametrize("point", POINTS)
def test_the_next_run_repairs_what_a_killed_worker_left(point: str, stores: None, valkey: redis.Redis, tmp_path: Path) -> None:
    record()
    shards.roll_up_all(time.time(), HotStore.from_conf())
    undisturbed = rows()
    assert len(undisturbed) > 100
    forget_everything(valkey)

    record()
    environment = environment_of_tests(DIE_AT=point)
    log = (tmp_path / "worker.log").open("wb")
    worker = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "celery",
            "-q",
            "-A",
            "tests.faults.dying_worker",
            "worker",
            "-P",
            "solo",
            "-Q",
            "rollup",
            "-l",
            "warning",
        ],
        cwd=ROOT,
        env=environment,
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    from workers.app import app

    with app.connection_for_write(environment.get("CELERY_BROKER_URL") or broker(environment["REDIS_URL"])) as connection:
        for shard in range(8):
            app.send_task("monitoring.rollup_shard", args=[shard], queue="rollup", connection=connection)
    try:
        assert worker.wait(40) == -9, (tmp_path / "worker.log").read_text()
    except subprocess.TimeoutExpired:
        worker.kill()
        pytest.fail(f"the worker lived on:\n{(tmp_path / 'worker.log').read_text()}")

    noticed()
    shards.roll_up_all(time.time(), HotStore.from_conf())
    assert rows() == undisturbed
    assert not list(valkey.scan_iter("*:b:*")), "a batch was left in the hot store"
    assert ShardProgress.objects.count() == 8


def broker(url: str) -> str:
    return url.rpartition("/")[0] + "/1"
