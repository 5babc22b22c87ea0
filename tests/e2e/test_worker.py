"""The product's own Celery application in pytest-celery's nodes: a worker that is killed loses no task."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery
from pytest_celery import CeleryTestWorker, CeleryWorkerCluster, CeleryWorkerContainer

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.models import RollupBatch, ShardProgress
from tests.celery_nodes.process import ProcessContainer
from tests.e2e.parts import ROOT, environment_of_tests
from tests.integration.rollup.stored import send, some
from tests.patience import eventually

QUEUES = "rollup,alerts,notifications,maintenance"


@pytest.fixture
def app() -> Celery:
    from workers.app import app

    return app


@pytest.fixture
def cluster(stores: None, valkey: redis.Redis, app: Celery, tmp_path: Path) -> Iterator[CeleryWorkerCluster]:
    """Two workers of the product's own application, each a process with two children."""
    nodes = []
    for number in range(2):
        folder = tmp_path / f"worker{number}"
        folder.mkdir()
        argv = [
            sys.executable,
            "-m",
            "celery",
            "-A",
            "workers.app",
            "worker",
            "-n",
            f"w{number}@test",
            "-Q",
            QUEUES,
            "-c",
            "2",
            "-l",
            "info",
        ]
        environment = {**environment_of_tests(), "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        container = CeleryWorkerContainer(ProcessContainer(argv, folder, environment))
        nodes.append(CeleryTestWorker(container, app))
    for node in nodes:
        eventually("the worker is ready", lambda node=node: "ready." in node.logs(), 40, node.logs)
    yield CeleryWorkerCluster(*nodes)
    for node in nodes:
        node.container._container.stop()


def test_a_tick_is_fanned_out_and_every_shard_is_rolled_up_by_either_worker(cluster: CeleryWorkerCluster, app: Celery) -> None:
    send(*some(200))
    app.send_task("monitoring.rollup", queue="rollup")
    eventually("every shard has its watermark", lambda: ShardProgress.objects.count() == 8, 30)
    assert RollupBatch.objects.count() > 0
    assert "monitoring.rollup_shard" in cluster[0].logs() + cluster[1].logs()


def test_a_worker_that_is_killed_is_replaced_by_the_other_and_by_itself(cluster: CeleryWorkerCluster, app: Celery) -> None:
    cluster[0].kill()
    assert cluster[0].container.status == "exited"
    app.send_task("monitoring.maintenance", queue="maintenance")
    eventually("the other one took it", lambda: "monitoring.maintenance" in cluster[1].logs(), 20)

    cluster[1].kill()
    send(*some(200))
    app.send_task("monitoring.rollup", queue="rollup")
    cluster[0].restart()
    eventually("it is back and works", lambda: ShardProgress.objects.count() == 8, 40, cluster[0].logs)
    assert all(progress.complete_until > to_datetime(0) for progress in ShardProgress.objects.all())
