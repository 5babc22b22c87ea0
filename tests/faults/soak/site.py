"""The servers and processes of one run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg
import redis

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import server
from config.embedded import process
from config.embedded.postgres import Postgres
from config.embedded.process import free_port
from config.embedded.valkey import Valkey
from tests.e2e.parts import ROOT

SHARDS = 4
WRITERS = ("writer-1", "writer-2")
WORKERS = ("worker-1", "worker-2", "worker-3")
BEATS = ("beat-1", "beat-2")
_TICKS = {"monitoring: roll-up": 1, "monitoring: compaction": 2, "monitoring: maintenance": 5}
"""Seconds."""


@dataclass
class Site:
    """Everything durable: what a server has confirmed survives its kill."""

    folder: Path
    seed: int
    ended: Counter[str] = field(default_factory=Counter)
    """Parts that ended although nobody ended them."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.postgres = Postgres(self.folder / "servers", port=free_port())
        self.valkey = Valkey(self.folder / "servers", options=("--appendfsync", "always"))
        self._running: dict[str, int] = {}
        self._started: Counter[str] = Counter()
        self._nursery: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.postgres.start()
            self.valkey.start()
            self._manage("migrate", "--verbosity", "0")
            self._manage("setup_monitoring")
            self._tick_fast()
            self._nursery = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.soak.nursery"],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=(self.folder / "nursery.log").open("ab"),
                text=True,
            )
            assert self._answer() == "ready", self.told()
            for name in (*BEATS, *WORKERS, *WRITERS):
                self.start(name)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._end()

    def _end(self) -> None:
        for name in list(self._running):
            self.kill(name)
        if self._nursery is not None:
            self._nursery.communicate(timeout=20)
        self.valkey.stop()
        self.postgres.stop()

    def environment(self) -> dict[str, str]:
        """Of the product's processes."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("MONITORING_", "CELERY_"))}
        return {
            **kept,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATABASE_URL": self.postgres.url,
            "REDIS_URL": self.valkey.url,
            "SECRET_KEY": "a-key-for-tests-only-" + "x" * 40,
            "INSECURE_HTTP": "1",
            "MONITORING_SHARDS": str(SHARDS),
            "MONITORING_FLUSH_INTERVAL": "0.05",
            "MONITORING_PRICING": "off",
            "MONITORING_LOG_PATH": os.devnull,
            "OPENBLAS_NUM_THREADS": "1",
        }

    def _manage(self, *arguments: str) -> None:
        subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment(), check=True, stdout=subprocess.DEVNULL
        )

    def _tick_fast(self) -> None:
        """Beat asks for roll-up, compaction and maintenance all the time, and for nothing else."""
        with self.connect() as connection:
            connection.execute("UPDATE django_celery_beat_periodictask SET enabled = (name = ANY(%s))", [list(_TICKS)])
            for name, seconds in _TICKS.items():
                connection.execute(
                    "UPDATE django_celery_beat_intervalschedule SET every = %s WHERE id = "
                    "(SELECT interval_id FROM django_celery_beat_periodictask WHERE name = %s)",
                    [seconds, name],
                )

    def connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.postgres.url, autocommit=True)

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.valkey.url, decode_responses=True)

    def store(self) -> HotStore:
        return HotStore(server(self.valkey.url), "agentmon", SHARDS)

    # Processes

    def start(self, name: str) -> None:
        """Start a part. A writer is a new one each time: another journal, another stream of events."""
        kind = name.partition("-")[0]
        self._started[name] += 1
        life = f"{name}-{self._started[name]}"
        arguments: dict[str, Any] = {
            "writer": {"folder": str(self.folder), "name": life, "seed": f"{self.seed}-{life}"},
            "worker": {"name": name},
            "beat": {"schedule": str(self.folder / f"{name}.schedule")},
        }[kind]
        self._running[name] = self._fork(kind, name, arguments)

    def _fork(self, part: str, name: str, arguments: dict[str, Any]) -> int:
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        log = str(self.folder / f"{name}.log")
        self._nursery.stdin.write(json.dumps({"part": part, "log": log, "arguments": arguments}) + "\n")
        self._nursery.stdin.flush()
        return int(self._answer())

    def _answer(self) -> str:
        assert self._nursery is not None
        assert self._nursery.stdout is not None
        return self._nursery.stdout.readline().strip()

    def kill(self, name: str) -> None:
        """SIGKILL to a part and to all its processes."""
        group = self._running.pop(name)
        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGKILL)
        gone(group)

    def kill_parent(self, name: str) -> None:
        """SIGKILL to the worker alone: the process of its pool is an orphan with a task in its hands."""
        os.kill(self._running[name], signal.SIGKILL)

    def kill_child(self, name: str) -> None:
        """SIGKILL to the process of a worker's pool; the worker goes on and makes another."""
        for child in children(self._running[name]):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)

    def ask_to_end(self, name: str) -> None:
        """SIGTERM, and SIGKILL to one that takes its time."""
        with suppress(ProcessLookupError):
            os.kill(self._running[name], signal.SIGTERM)
        gone(self._running[name], 10)
        self.kill(name)

    def revive(self) -> None:
        """Start again what has ended by itself, as a supervisor does."""
        for name, leader in list(self._running.items()):
            if not alive(leader):
                self.ended[name.partition("-")[0]] += 1
                self.kill(name)
                self.start(name)

    def stop_all(self, *names: str) -> None:
        for name in names:
            self.ask_to_end(name)

    def finish(self) -> None:
        """Roll up what is left, the open minutes too."""
        done = self.folder / "finished"
        leader = self._fork("finish", "finish", {"told": str(done)})
        gone(leader, 60)
        assert done.exists(), self.told()

    # Servers

    def kill_valkey(self, seconds: float) -> None:
        self.valkey.kill()
        time.sleep(seconds)
        self.valkey.start()

    def stop_valkey(self, seconds: float) -> None:
        self.valkey.stop()
        time.sleep(seconds)
        self.valkey.start()

    def stop_postgres_immediately(self, seconds: float) -> None:
        """No goodbye to anybody, recovery at the start."""
        assert self.postgres._process is not None
        process.stop(self.postgres._process, signal.SIGQUIT)
        time.sleep(seconds)
        self.postgres.start()

    def kill_postgres(self, seconds: float) -> None:
        self.postgres.kill()
        time.sleep(seconds)
        self.postgres.start()

    def cut_postgres(self) -> None:
        """End every connection."""
        with self.connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )

    def cut_valkey(self) -> None:
        """Cut every connection."""
        self.client().client_kill_filter(_type="normal", skipme=True)

    def told(self) -> str:
        """The end of what every part wrote."""
        logs = sorted(self.folder.glob("*.log"))
        return "\n".join(f"--- {log.name}\n{log.read_text(errors='replace')[-2_000:]}" for log in logs)


def alive(leader: int) -> bool:
    try:
        os.kill(leader, 0)
    except ProcessLookupError:
        return False
    return True


def gone(leader: int, seconds: float = 20) -> bool:
    """Wait for the end of a process that is nobody's child here."""
    deadline = time.monotonic() + seconds
    while alive(leader):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def children(parent: int) -> list[int]:
    try:
        return list(map(int, Path(f"/proc/{parent}/task/{parent}/children").read_text().split()))
    except OSError:
        return []
