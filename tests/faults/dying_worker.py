"""A Celery worker that kills itself at one point of the roll-up: `celery -A tests.faults.dying_worker worker`.

The point is named by the environment variable DIE_AT. It is the real worker with the real hot store; only the moment of its
end is chosen.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from celery.signals import worker_init
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from apps.monitoring.ingest.hotstore import Batch, HotStore
from workers.app import app

__all__ = ["app"]

DIE_AT = os.environ["DIE_AT"]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class DyingStore(HotStore):
    def seal(self, shard: int, until: int) -> list[Batch]:
        if DIE_AT == "before the seal":
            die()
        batches = super().seal(shard, until)
        if batches and DIE_AT == "after the seal":
            die()
        return batches

    def drop(self, shard: int, batch: Batch) -> None:
        if DIE_AT == "after the commit, before the drop leaves":
            die()
        super().drop(shard, batch)
        if DIE_AT == "after the drop":
            die()


def watch(execute: Callable[..., Any], sql: str, params: Any, many: Any, context: dict[str, Any]) -> Any:
    """Between the rows and the commit, and between the commit and everything after it."""
    is_proof = sql.startswith('INSERT INTO "monitoring_rollupbatch"')
    if is_proof and DIE_AT == "before the batch is noted":
        die()
    result = execute(sql, params, many, context)
    if is_proof and DIE_AT == "before the commit":
        die()
    is_watermark = sql.lstrip().startswith("INSERT INTO monitoring_shardprogress")
    if is_watermark and DIE_AT == "before the watermark is committed":
        die()
    return result


@worker_init.connect
def arm(**_: Any) -> None:
    from workers.tasks import rollup

    rollup.HotStore = DyingStore


@receiver(connection_created)
def listen(connection: Any, **_: Any) -> None:
    connection.execute_wrappers.append(watch)
