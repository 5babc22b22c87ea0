"""Forks the product's processes out of one that has everything imported: so a killed one is back in no time.

`python -m tests.faults.soak.nursery`: one JSON object a line on standard input, `{"part", "name", "log", "arguments"}`; the
answer is the process id. Each child is the leader of a process group of its own. All of them go when this one goes.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import django

_PR_SET_PDEATHSIG = 1


def writer(folder: str, name: str, seed: str) -> None:
    """An agent."""
    from tests.faults.soak import writer

    writer.main(Path(folder), name, seed)


def worker(name: str) -> None:
    """A Celery worker as in the Procfile, with one process, for roll-ups, compaction and maintenance."""
    from workers.app import app

    app.worker_main(
        [
            "worker", "-n", f"{name}@soak", "-Q", "rollup,maintenance", "-c", "1",
            "--without-mingle", "--without-gossip", "-l", "WARNING",
        ]
    )  # fmt: skip


def beat(schedule: str) -> None:
    """Celery's beat as in the Procfile."""
    from workers.app import app

    app.start(["beat", "-S", "workers.beat:Scheduler", "-s", schedule, "-l", "WARNING"])


def finish(told: str) -> None:
    """Roll up and compact what is left, open minutes, hours and days too, as workers will once they are over.

    Says when it is done.
    """
    import time

    from apps.monitoring.ingest.hotstore import HotStore
    from apps.monitoring.rollup import periods, shards
    from apps.monitoring.rollup.compaction import compact_shard

    while any(tick.busy for tick in shards.roll_up_all(time.time() + 2 * 86_400, HotStore.from_conf())):
        time.sleep(0.1)  # Postgres gives back the lock of a killed worker in a moment
    while stale := periods.stale_shards():
        for shard in stale:
            compact_shard(shard, 60.0)
    Path(told).touch()


PARTS: Mapping[str, Callable[..., None]] = {"writer": writer, "worker": worker, "beat": beat, "finish": finish}


def main() -> None:
    django.setup()
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the dead
    print("ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        child = os.fork()
        if child == 0:
            _live(asked)
        print(child, flush=True)


def _import_everything() -> None:
    import kombu.transport.redis  # noqa: F401

    import workers.beat  # noqa: F401
    from workers.app import app

    app.loader.import_default_modules()
    app.finalize()


def _live(asked: dict[str, Any]) -> None:
    """The life of a child, to its end."""
    os.setsid()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(asked["log"], os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for old, new in ((0, nothing), (1, log), (2, log)):
        os.dup2(new, old)
    code = 1
    try:
        PARTS[asked["part"]](**asked["arguments"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
