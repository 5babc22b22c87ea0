"""What a minute of many series costs: in the hot store, sealed and rolled up, and in the snapshots."""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
import redis
from django.db import connection
from tqdm import tqdm

from tests.unit.ingest.made import flat

SERIES = {1_000: 5, 10_000: 5, 100_000: 11, 1_000_000: 1}
"""About how many series, and how many minutes of them are measured."""
PER_TENANT = 10
"""Interactions of a tenant in the minute."""
MINUTE = int(time.time() // 60) - 60
"""Recent, as old ones may be merged with what is there already."""
COLUMNS = "ts, count, sum, min, max, series_id, resolution, part, data"
TYPES = ("timestamptz", "int8", "int8", "int8", "int8", "int4", "int2", "int2", "bytea")
KEY = "ts, part, series_id, resolution"
_WORKER = (Path(__file__).resolve().parents[2] / "Procfile").read_text().partition("\nworker: ")[2].partition("\n")[0].split()
_PROCESSES = int(_WORKER[_WORKER.index("-c") + 1])
"""Of a worker, as the Procfile starts it."""
_PIECE = 1 << 18
"""Bytes of the bare COPY that are sent at once."""


def measure(sizes: Mapping[int, int] = SERIES) -> list[dict[str, Any]]:
    """One row a size: medians of several minutes.

    Beside a process of a worker the hot store and Postgres work for it, and a part of this goes on at once, on
    ``one_process_cores``. So on the same cores two processes cannot be more than their number divided by that times as
    fast as one (``two_processes_ratio``). What a second worker brings where it has a core to itself is the other figure,
    ``two_cores_ratio``: two workers of two processes each, hot store and Postgres on two cores, times one such worker and
    the same servers on one.

    There are two bare COPYs of the same rows. ``copy`` is what somebody writes who has rows: psycopg spells each value.
    ``spelled`` sends bytes that were spelled beforehand, which nobody has whose rows are new: nothing can be faster.
    """
    turns = sum(rounds + 1 for rounds in sizes.values())
    with tqdm(total=turns, desc="rollup", unit=" minutes", disable=None) as progress:
        return [_measured(size, rounds, progress.update) for size, rounds in sizes.items()]


def _measured(size: int, rounds: int, told: Callable[[], object]) -> dict[str, Any]:
    from apps.monitoring.conf import conf
    from apps.monitoring.ingest.hotstore import HotStore
    from apps.monitoring.rollup.shards import roll_up

    store = HotStore.from_conf()
    names = (
        "roll_up", "copy", "spelled", "copy_ratio", "spelled_ratio", "cores", "two", "two_copy", "two_spelled", "two_cores", "hot",
        "stored",
    )  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in names}
    series = 0

    def one(now: float) -> float:
        began = time.perf_counter()
        for shard in range(store.shards):
            roll_up(shard, now, store)
        return time.perf_counter() - began

    with _processes(2 * _PROCESSES, conf().shards) as rolled_by:
        minute = MINUTE
        for number in range(2 * _PROCESSES):  # each makes or learns the series
            _empty()
            fill(minute, size)
            rolled_by(slice(number, number + 1), (minute + 2) * 60.0)
        for turn in range(rounds + 1):
            minute = MINUTE + 1 + turn
            _empty()
            before = _used(conf().redis_url)
            fill(minute, size)
            hot = _used(conf().redis_url) - before
            busy = _busy()
            rolled = one((minute + 2) * 60.0)
            busy = _busy() - busy
            series = _rows()
            row_bytes = sum(_sizes().values()) / series
            copied, spelled = _bare_copies()
            _empty()
            fill(minute, size)
            two = rolled_by(slice(2), (minute + 2) * 60.0)
            told()
            if turn == 0:
                continue  # the first makes the caches of this process
            _empty()
            fill(minute, size)
            workers = rolled_by(slice(2 * _PROCESSES), (minute + 2) * 60.0)
            _empty()
            fill(minute, size)
            with _on(1):
                worker = rolled_by(slice(_PROCESSES), (minute + 2) * 60.0)
            figures = (
                rolled, copied, spelled, copied / rolled, spelled / rolled, busy / rolled, rolled / two, copied / two,
                spelled / two, worker / workers, hot / series, row_bytes,
            )  # fmt: skip
            for name, figure in zip(taken, figures, strict=True):
                taken[name].append(figure)
    middle = {name: statistics.median(figures) for name, figures in taken.items()}
    return {
        "series": series,
        "roll_up_s": round(middle["roll_up"], 3),
        "series_per_s": round(series / middle["roll_up"]),
        "copy_s": round(middle["copy"], 3),
        "copy_ratio": round(middle["copy_ratio"], 2),
        "spelled_copy_s": round(middle["spelled"], 3),
        "spelled_copy_ratio": round(middle["spelled_ratio"], 2),
        "one_process_cores": round(middle["cores"], 2),
        "two_processes_ratio": round(middle["two"], 2),
        "two_copy_ratio": round(middle["two_copy"], 2),
        "two_spelled_copy_ratio": round(middle["two_spelled"], 2),
        "two_cores_ratio": round(middle["two_cores"], 2),
        "hot_bytes_a_series": round(middle["hot"]),
        "row_bytes": round(middle["stored"]),
    }


def stored(size: int = 10_000, minutes: int = 30) -> list[dict[str, Any]]:
    """Bytes a row after half an hour: a minute is written into pages and an index that others have filled."""
    from apps.monitoring.ingest.hotstore import HotStore
    from apps.monitoring.rollup.shards import roll_up

    store = HotStore.from_conf()
    _empty()
    for minute in range(MINUTE, MINUTE + minutes):
        fill(minute, size)
        for shard in range(store.shards):
            roll_up(shard, (minute + 2) * 60.0, store)
    rows = _rows()
    parts = _sizes()
    return [
        {"rows": rows, **{f"{name}_bytes_a_row": round(size / rows, 1) for name, size in parts.items()},
         "bytes_a_row": round(sum(parts.values()) / rows, 1)}
    ]  # fmt: skip


def _sizes() -> dict[str, int]:
    """Bytes of the snapshots."""
    return {
        "heap": _one("SELECT sum(pg_table_size(relid)) FROM pg_partition_tree('monitoring_metricsnapshot') WHERE isleaf"),
        "index": _one("SELECT sum(pg_indexes_size(relid)) FROM pg_partition_tree('monitoring_metricsnapshot') WHERE isleaf"),
    }


def fill(minute: int, size: int) -> None:
    """A minute of traffic with about this many series, as the monitors of several processes would send it."""
    from apps.monitoring.ingest.buffer import Buffer
    from apps.monitoring.ingest.flusher import Flusher
    from apps.monitoring.ingest.hotstore import HotStore

    buffer = Buffer(10_000)
    flusher = Flusher(buffer, HotStore.from_conf(), 10_000_000)
    for tenant in range(max(1, size // 20)):
        buffer.merge(list(_interactions(minute, f"tenant-{tenant:05d}")))
    if not flusher.flush():
        raise SystemExit("the hot store did not take the benchmark's records")


def _interactions(minute: int, tenant: str) -> Iterator[Any]:
    chance = random.Random(tenant)  # not the minute: the series of a minute are those of the one before
    for turn in range(PER_TENANT):
        prompt, completion = chance.randrange(200, 4_000), chance.randrange(20, 600)
        yield flat(
            "agent_interaction",
            tenant,
            minute * 60.0 + turn,
            None,
            {
                "conversation_id": f"{tenant}-{minute}-{turn // 2}",
                "agent_response": "…",
                "model_used": chance.choice(("gpt-4o", "gpt-4o-mini", "claude-sonnet")),
                "confidence_score": chance.betavariate(8, 2),
                "processing_time_ms": chance.lognormvariate(7.3, 0.6),
                "token_usage": {"prompt_tokens": prompt, "completion_tokens": completion},
                "estimated_cost": (prompt * 2.5 + completion * 10) / 1e6,
                "handoff_triggered": chance.random() < 0.1,
                "handoff_reason": "customer asked",
                "intent": chance.choice(("refund", "delivery", "invoice", "cancel", "other question")),
            },
        )


def _busy() -> float:
    """Seconds that all processors have worked so far."""
    times = psutil.cpu_times()
    return float(times.user + times.system + times.nice)


def _used(url: str) -> int:
    return int(redis.Redis.from_url(url).info("memory")["used_memory"])


def _empty() -> None:
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE monitoring_metricsnapshot, monitoring_rollupbatch, monitoring_shardprogress")


def _rows() -> int:
    return _one("SELECT count(*) FROM monitoring_metricsnapshot")


def _one(query: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(query)
        return int(cursor.fetchone()[0])


def _bare_copies() -> tuple[float, float]:
    """Seconds of a binary COPY of the same rows into the same emptied table, in the order of its key, in one commit: of rows of
    Python values, and of the bytes that Postgres itself spells."""
    ordered = f"SELECT {COLUMNS} FROM monitoring_metricsnapshot ORDER BY {KEY}"
    with connection.cursor() as cursor, psycopg.Cursor(connection.connection) as plain:
        rows = plain.execute(ordered, binary=True).fetchall()
        with cursor.copy(f"COPY ({ordered}) TO STDOUT (FORMAT BINARY)") as out:
            spelled = b"".join(out)

        def written(write: Callable[[psycopg.Copy], object]) -> float:
            cursor.execute("TRUNCATE monitoring_metricsnapshot")
            began = time.perf_counter()
            with cursor.copy(f"COPY monitoring_metricsnapshot ({COLUMNS}) FROM STDIN (FORMAT BINARY)") as copy:
                write(copy)
            return time.perf_counter() - began

        def by_row(copy: psycopg.Copy) -> None:
            copy.set_types(TYPES)
            for row in rows:
                copy.write_row(row)

        def by_piece(copy: psycopg.Copy) -> None:
            for start in range(0, len(spelled), _PIECE):
                copy.write(spelled[start : start + _PIECE])

        return written(by_row), written(by_piece)


@contextmanager
def _on(cores: int) -> Iterator[None]:
    """This process and everything that it has started, its servers with it, on so many cores of those that it has."""
    all_cores = os.sched_getaffinity(0)
    _pin(set(sorted(all_cores)[:cores]))
    try:
        yield
    finally:
        _pin(all_cores)


def _pin(cores: set[int]) -> None:
    own = psutil.Process()
    for process in [own, *own.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            for thread in process.threads():
                os.sched_setaffinity(thread.id, cores)


_WORKER = """
import sys, django; django.setup()
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.rollup.shards import roll_up
store = HotStore.from_conf(); store.ping()
print("ready", flush=True)
for line in sys.stdin:
    now, shard = line.split()
    roll_up(int(shard), float(now), store)
    print("done", flush=True)
"""


@contextmanager
def _processes(count: int, shards: int) -> Iterator[Callable[[slice, float], float]]:
    """Processes of workers. What is yielded has some roll up at a moment, and says how long it took.

    Each is given the next shard when it is free, as Celery does it.
    """
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _WORKER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        for _ in range(count)
    ]
    for process in processes:
        _said(process, "ready")

    def roll_up(some: slice, now: float) -> float:
        left = iter(range(shards))  # next() is atomic
        began = time.perf_counter()
        with ThreadPoolExecutor(count) as threads:
            done = [threads.submit(_drive, process, now, left) for process in processes[some]]
        taken = time.perf_counter() - began
        for each in done:
            each.result()
        return taken

    try:
        yield roll_up
    finally:
        for process in processes:
            process.communicate()


def _drive(process: subprocess.Popen[str], now: float, left: Iterator[int]) -> None:
    assert process.stdin
    for shard in left:
        process.stdin.write(f"{now} {shard}\n")
        process.stdin.flush()
        _said(process, "done")


def _said(worker: subprocess.Popen[str], word: str) -> None:
    assert worker.stdout
    if worker.stdout.readline().strip() != word:
        raise SystemExit(f"a worker of the benchmark ended with {worker.wait()}")
