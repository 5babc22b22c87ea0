"""A process that records ends: in order, by a kill, by a fork. What it had confirmed is counted once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import TIMEOUT_SECONDS, server
from tests.e2e.parts import ROOT
from tests.faults.proxy import Proxy
from tests.faults.script import ENVIRONMENT, PRELUDE, run, start, wait_for
from tests.integration.ingest.hot import interactions
from tests.patience import eventually


@pytest.fixture
def store(valkey: redis.Redis, redis_url: str) -> HotStore:
    return HotStore(server(redis_url), "agentmon", shards=8)


def test_a_process_that_ends_flushes_what_it_has(store: HotStore) -> None:
    run("record(1_000)", MONITORING_FLUSH_INTERVAL="600")
    assert interactions(store, "acme") == 1_000


@pytest.mark.parametrize("ending", ["sys.exit(0)", "raise SystemExit", "signal.raise_signal(signal.SIGINT)"])
def test_however_it_ends_in_order(store: HotStore, ending: str) -> None:
    process = start(f"record(100)\n{ending}", MONITORING_FLUSH_INTERVAL="600")
    process.communicate(timeout=60)
    assert interactions(store, "acme") == 100


def test_a_script_that_is_asked_to_end_sends_what_it_has_and_ends_by_the_signal(store: HotStore) -> None:
    process = start(
        """
        record(100)
        say("recorded")
        while True:
            monitor.log_and_record_interaction(conversation_id="more", agent_response="yes", timestamp=1767571200)
            say("more")
            time.sleep(0.001)
        """,
        MONITORING_FLUSH_INTERVAL="600",
    )
    wait_for(process, "recorded")
    process.terminate()
    assert process.stdout
    said = process.stdout.read()  # communicate() would pass over what was read ahead of the first line
    assert process.wait(60) == -signal.SIGTERM
    assert interactions(store, "acme") - 100 - said.count("more") in {0, 1}  # it may end between recording and saying so


def test_a_script_that_handles_the_signal_itself_goes_on_to(store: HotStore) -> None:
    process = start(
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
        record(100)
        say("recorded")
        time.sleep(60)
        """,
        MONITORING_FLUSH_INTERVAL="600",
    )
    wait_for(process, "recorded")
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 3
    assert interactions(store, "acme") == 100


def test_the_signal_may_be_left_alone(store: HotStore) -> None:
    script = "record(100)\nassert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL"
    run(script, MONITORING_FLUSH_ON_SIGTERM="false")


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_children_of_multiprocessing_send_what_they_have(store: HotStore, method: str, tmp_path: Path) -> None:
    # A file, because what is spawned imports the main module again.
    script = tmp_path / "agent.py"
    script.write_text(
        PRELUDE
        + textwrap.dedent(f"""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        if __name__ == "__main__":
            record(1)
            context = multiprocessing.get_context({method!r})
            child = context.Process(target=record, args=(10,))
            child.start()
            child.join()
            assert child.exitcode == 0
            with ProcessPoolExecutor(2, mp_context=context) as pool:
                list(pool.map(record, [100] * 4))
        """)
    )
    environment = {**ENVIRONMENT, **os.environ, "PYTHONPATH": str(ROOT), "MONITORING_FLUSH_INTERVAL": "600"}
    subprocess.run([sys.executable, str(script)], cwd=ROOT, env=environment, check=True, timeout=60)
    assert interactions(store, "acme") == 411


def test_what_is_recorded_while_the_process_ends_is_sent_too(store: HotStore) -> None:
    run("import atexit\natexit._run_exitfuncs()\nrecord(10)\nos._exit(0)", MONITORING_FLUSH_INTERVAL="600")
    assert interactions(store, "acme") == 10


def test_many_threads_and_coroutines_record_and_everything_counts(store: HotStore) -> None:
    run(
        """
        import asyncio, threading
        async def several():
            async def one():
                record(50)
                await asyncio.sleep(0)
                record(50)
            await asyncio.gather(*(one() for _ in range(20)))
        threads = [threading.Thread(target=record, args=(1_000,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        asyncio.run(several())
        for thread in threads:
            thread.join()
        """,
        MONITORING_FLUSH_INTERVAL="0.01",
    )
    assert interactions(store, "acme") == 10_000


def test_objects_that_record_or_end_something_when_they_are_looked_at_hold_nobody_up(store: HotStore) -> None:
    run(
        """
        class Records:
            def __str__(self):
                record(1)
                assert not flush_now(5)
                return "one more"
        class Ends:
            def __str__(self):
                raise SystemExit
        for _ in range(10):
            for intent in (Records(), Ends(), "refund"):
                monitor.log_and_record_interaction(conversation_id="c-1", agent_response="yes", intent=intent, timestamp=1767571200)
            time.sleep(0.02)
        assert flush_now()
        """,
        MONITORING_FLUSH_INTERVAL="0.01",
        MONITORING_LOG_PATH="",  # else the line asks the object, too
    )
    assert interactions(store, "acme") == 40


def test_in_direct_mode_such_an_object_holds_nobody_up_either(store: HotStore) -> None:
    run(
        """
        class Records:
            def __str__(self):
                record(1)
                return "one more"
        for _ in range(10):
            monitor.log_and_record_interaction(conversation_id="c", agent_response="yes", intent=Records(), timestamp=1767571200)
        os._exit(0)
        """,
        MONITORING_WRITE_MODE="direct",
        MONITORING_LOG_PATH="",
    )
    assert interactions(store, "acme") == 20


def test_a_kill_loses_what_came_after_the_last_flush_and_nothing_before(store: HotStore) -> None:
    process = start(
        """
        record(500)
        assert flush_now()
        record(70)
        say("recorded")
        time.sleep(60)
        """,
        MONITORING_FLUSH_INTERVAL="600",
    )
    wait_for(process, "recorded")
    process.kill()
    process.communicate()
    assert interactions(store, "acme") == 500


def test_what_is_older_than_the_flush_interval_survives_a_kill(store: HotStore) -> None:
    process = start("record(300)\nsay('recorded')\ntime.sleep(60)", MONITORING_FLUSH_INTERVAL="0.2")
    wait_for(process, "recorded")
    eventually("the interval has flushed it", lambda: interactions(store, "acme") == 300, 10)
    process.kill()
    process.communicate()
    assert interactions(store, "acme") == 300


SLACK_SECONDS = 0.5
"""Beyond the flush interval: a flush takes its time, and on a busy machine the thread that sends it waits for its turn."""


def test_a_kill_at_any_moment_loses_at_most_the_flush_interval(store: HotStore) -> None:
    said = run(
        """
        import random
        def record_until_killed(tenant, told):
            monitor = get_agent_monitor(tenant)
            for number in range(10**9):
                monitor.log_and_record_interaction(conversation_id=f"c-{number}", agent_response="yes", timestamp=1767571200)
                os.write(told, b"%.6f\\n" % time.monotonic())
                time.sleep(0.002)
        chance, children = random.Random(11), []
        for index in range(10):
            mine, theirs = os.pipe()
            child = os.fork()
            if child == 0:
                record_until_killed(f"tenant-{index}", theirs)
            os.close(theirs)
            children.append((chance.uniform(1.5, 3.5), child, index, open(mine)))
        assert all(told.readline() for _, _, _, told in children)
        begun = time.monotonic()
        for after, child, index, told in sorted(children, key=lambda one: one[0]):
            time.sleep(max(0, begun + after - time.monotonic()))
            os.kill(child, signal.SIGKILL)
            killed = time.monotonic()
            os.waitpid(child, 0)
            print(index, *(killed - float(at) for at in told if at.endswith("\\n")))
        """,
        MONITORING_FLUSH_INTERVAL="1",
    )
    lines = [line.split() for line in said.splitlines()]
    assert len(lines) == 10
    for index, *ages in lines:
        lost = ages[max(0, interactions(store, f"tenant-{index}") - 1) :]  # the first is not among them
        assert not [age for age in lost if float(age) > 1 + SLACK_SECONDS]
    assert interactions(store) > 100


def test_flushes_come_at_the_interval_however_long_each_takes(redis_url: str) -> None:
    port = urlsplit(redis_url).port
    assert port is not None
    with Proxy(port) as slow:
        slow.delay, slow.longest_delay = 1.0, 0.15  # there and back
        said = run(
            """
            began = time.monotonic()
            while time.monotonic() < began + 4.2:
                record(1)
                time.sleep(0.02)
            print(max(shard.sequence for shard in recorder().flusher._shards.values()))
            """,
            MONITORING_FLUSH_INTERVAL="0.4",
            REDIS_URL=redis_url.replace(f":{port}/", f":{slow.port}/"),
        )
    assert 9 <= int(said) <= 11


def test_in_direct_mode_a_kill_loses_nothing(store: HotStore) -> None:
    process = start("record(50)\nos.kill(os.getpid(), signal.SIGKILL)", MONITORING_WRITE_MODE="direct")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert interactions(store, "acme") == 50


FORK = """
        record(100)
        {before}
        child = os.fork()
        if child == 0:
            record(10)
            {child}
        record(1_000)
        _, status = os.waitpid(child, 0)
        assert status == 0, status
"""


@pytest.mark.parametrize("before", ["pass", "assert flush_now()", "time.sleep(0.3)"], ids=["waiting", "flushed", "flushing"])
@pytest.mark.parametrize("child", ["assert flush_now(); os._exit(0)", "sys.exit(0)"], ids=["flushes", "ends"])
def test_after_a_fork_each_side_counts_its_own_once(store: HotStore, before: str, child: str) -> None:
    run(FORK.format(before=before, child=child), MONITORING_FLUSH_INTERVAL="0.2")
    assert interactions(store, "acme") == 1_110


def test_a_fork_while_many_threads_record_neither_hangs_nor_counts_twice(store: HotStore) -> None:
    run(
        """
        import threading
        threads = [threading.Thread(target=record, args=(3_000,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        children = []
        for _ in range(5):
            child = os.fork()
            if child == 0:
                record(10)
                os._exit(0 if flush_now(20) else 1)
            children.append(child)
        for thread in threads:
            thread.join()
        assert [os.waitpid(child, 0)[1] for child in children] == [0] * 5
        """,
        MONITORING_FLUSH_INTERVAL="0.01",
    )
    assert interactions(store, "acme") == 12_050


def test_the_end_of_a_process_does_not_wait_for_a_hot_store_that_is_away() -> None:
    process = start("record(10)", REDIS_URL="redis://127.0.0.1:1/0", CELERY_BROKER_URL="redis://127.0.0.1:1/1")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "did not take" in errors


@pytest.mark.parametrize("before", ["", "time.sleep(1.5)"], ids=["before a flush", "during a flush"])
def test_the_end_of_a_process_waits_for_a_hot_store_that_does_not_answer_as_long_as_one_attempt_takes(before: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        process = start(
            f"record(10)\n{before}\nrecord(10)\nsay('ending')",
            REDIS_URL=f"redis://127.0.0.1:{silent.getsockname()[1]}/0",
        )
        wait_for(process, "ending")
        began = time.monotonic()
        _, errors = process.communicate(timeout=30)
    assert time.monotonic() - began < TIMEOUT_SECONDS + 2
    assert process.returncode == 0
    assert "did not take" in errors
