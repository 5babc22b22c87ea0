"""The servers that agents run in, asked to end: every answered request is counted, once.

The interval is longer than the test, so nothing is flushed but by the orderly end.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import redis

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import server
from tests.e2e.parts import ROOT
from tests.integration.ingest.hot import everything, fields, interactions
from tests.patience import eventually
from tests.servers.throwaway import Servers

SITE = "tests.faults.agent_site"
COST = 100 * 2_500 + 20 * 10_000
"""Nano-dollars of one answer of the site, by the price list: 2.50 and 10 USD a million tokens."""
REQUESTS = 200

GUNICORN = ("gunicorn", f"{SITE}:wsgi", "--bind", "127.0.0.1:{port}", "--graceful-timeout", "20")
UVICORN = ("uvicorn", f"{SITE}:asgi", "--port", "{port}")
SERVERS = {
    "gunicorn, preloaded, threads": (*GUNICORN, "--workers", "2", "--preload", "--threads", "4"),
    "gunicorn, gevent": (*GUNICORN, "--workers", "2", "--worker-class", "gevent"),
    "gunicorn, preloaded, gevent": (*GUNICORN, "--workers", "2", "--preload", "--worker-class", "gevent"),
    "gunicorn, recycled workers": (*GUNICORN, "--workers", "2", "--preload", "--max-requests", "17"),
    "uvicorn": UVICORN,
    "uvicorn, processes": (*UVICORN, "--workers", "2"),
}


@pytest.fixture
def store(valkey: redis.Redis, redis_url: str) -> HotStore:
    return HotStore(server(redis_url), "agentmon", shards=8)


def environment(**more: str) -> dict[str, str]:
    return {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "MONITORING_FLUSH_INTERVAL": "600",
        "MONITORING_LOG_PATH": os.devnull,
        **more,
    }


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def process(log: Path, *command: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as out:
        running = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment(**more), stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=20).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("server", SERVERS)
def test_every_answered_request_is_counted_when_the_server_is_asked_to_end(
    store: HotStore, server: str, tmp_path: Path
) -> None:
    before = {"BEFORE_THE_FORK": "1"} if "preload" in server else {}
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with process(tmp_path / "log", *(part.format(port=port) for part in SERVERS[server]), **before) as running:
        eventually("it listens", lambda: answers(url), 60)
        with ThreadPoolExecutor(8) as customers:
            answered = 1 + sum(customers.map(answers, [url] * REQUESTS))
        running.terminate()
        running.wait(60)
    assert answered > REQUESTS * 0.9
    assert interactions(store, "acme") == answered + len(before), (tmp_path / "log").read_text()[-3_000:]
    assert fields(everything(store), "acme")["c\x1fgpt-4o:s"] == COST * (answered + len(before))


def test_requests_that_are_answered_while_the_server_ends_are_counted(store: HotStore, tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    with process(tmp_path / "log", *(part.format(port=port) for part in UVICORN)) as running:
        eventually("it listens", lambda: answers(url), 60)
        with ThreadPoolExecutor(8) as customers:
            asked = [customers.submit(answers, url) for _ in range(600)]
            time.sleep(0.3)
            running.terminate()
            answered = 1 + sum(one.result() for one in asked)
        running.wait(60)
    assert interactions(store, "acme") == answered


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo", "gevent"])
def test_every_task_is_counted_when_a_worker_is_asked_to_end(
    store: HotStore, servers: Servers, pool: str, tmp_path: Path
) -> None:
    worker = (
        "celery",
        "-A",
        f"{SITE}:celery",
        "worker",
        "--pool",
        pool,
        "--concurrency",
        "2",
        "-Q",
        "agent",
        "--without-gossip",
    )
    broker = servers.valkey.url.rpartition("/")[0] + "/1"
    with process(tmp_path / "log", *worker, "--without-mingle", CELERY_BROKER_URL=broker) as running:
        send = [sys.executable, "-c", f"from {SITE} import turn\nfor _ in range({REQUESTS}): turn.delay()"]
        subprocess.run(send, cwd=ROOT, env=environment(CELERY_BROKER_URL=broker), check=True)
        queue = redis.Redis.from_url(broker)
        # What is fetched and not begun would go back to the broker.
        eventually("every task is begun", lambda: not queue.llen("agent") and not queue.hlen("unacked"), 60)
        if pool == "prefork":  # the one whose tasks can be ended
            revoke = [sys.executable, "-c", f"from {SITE} import revoke_a_long_turn\nrevoke_a_long_turn()"]
            subprocess.run(revoke, cwd=ROOT, env=environment(CELERY_BROKER_URL=broker), check=True, timeout=60)
            eventually("what the ended task recorded is sent", lambda: interactions(store, "revoked") == 1, 30)
        running.terminate()
        running.wait(60)
    assert interactions(store, "acme") == REQUESTS, (tmp_path / "log").read_text()[-3_000:]
