"""The hot store goes away, loses answers, refuses: what was recorded is counted once, and memory stays bounded."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import Single
from config.embedded.valkey import Valkey
from tests.faults.proxy import Proxy
from tests.integration.ingest.hot import MINUTE, Writer, everything, fields, interaction, interactions
from tests.patience import eventually


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Valkey]:
    """A Valkey of the test's own, to be stopped and killed."""
    own = Valkey(tmp_path, options=("--repl-diskless-sync-delay", "0"))
    own.start()
    yield own
    own.stop()


def store_at(url: str, timeout: float = 2.0) -> HotStore:
    client = redis.Redis.from_url(url, decode_responses=True, socket_timeout=timeout, socket_connect_timeout=timeout)
    return HotStore(Single(client), "faults", shards=4)


def through(proxy: Proxy, server: Valkey) -> str:
    return server.url.replace(f":{server.port}/", f":{proxy.port}/")


def test_what_is_recorded_while_it_is_away_is_counted_when_it_is_back(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    server.stop()
    for number in range(1, 50):
        assert not writer.send(interaction(number, minute=MINUTE + number % 5))
    assert writer.flusher.counters["flushes_failed_connection"] == 49
    server.start()
    assert writer.flusher.flush()
    assert (interactions(store, "acme"), interactions(store)) == (50, 50)


def test_a_crash_that_keeps_the_append_only_file_loses_nothing_confirmed(server: Valkey) -> None:
    client = redis.Redis.from_url(server.url)
    client.config_set("appendfsync", "always")
    store = store_at(server.url)
    writer = Writer(store)
    for number in range(30):
        writer.send(interaction(number))
        if number in {10, 20}:
            server.kill()
            assert not writer.send(interaction(100 + number))
            server.start()
    assert writer.flusher.flush()
    assert interactions(store, "acme") == 32


def test_answers_that_are_lost_count_nothing_twice_and_lose_nothing(server: Valkey) -> None:
    """Thousands of flushes over a connection that is cut, delayed and half closed at random."""
    with Proxy(server.port, seed=11) as proxy:
        writers = [Writer(store_at(through(proxy, server))) for _ in range(3)]
        proxy.longest_delay = 0.01
        proxy.cut_request, proxy.cut_answer, proxy.half_close, proxy.delay = 0.06, 0.12, 0.03, 0.05
        for number in range(3_000):
            writers[number % 3].send(interaction(number, f"tenant-{number % 10}", MINUTE + number % 3))
        proxy.calm()
        for writer in writers:
            eventually("everything is sent", writer.flusher.flush, 20)
    store = store_at(server.url)
    held = everything(store)
    assert interactions(store) == 3_000
    assert [fields(held, f"tenant-{n}")["i:n"] for n in range(10)] == [300] * 10
    assert proxy.faults > 500
    assert sum(writer.flusher.counters["flushes_repeated"] for writer in writers) > 50
    assert sum(writer.flusher.counters["flushes_failed_connection"] for writer in writers) > 200


def test_a_server_that_hangs_costs_a_flush_its_time_limit_and_no_more(server: Valkey) -> None:
    store = store_at(server.url, timeout=0.3)
    writer = Writer(store)
    writer.send(interaction(0))
    client = redis.Redis.from_url(server.url)
    client.execute_command("CLIENT", "PAUSE", 1_500, "ALL")
    began = time.monotonic()
    assert not writer.send(interaction(1))
    assert time.monotonic() - began < 3
    assert writer.flusher.counters["flushes_failed_timeout"] == 1
    eventually("the server answers again", writer.flusher.flush, 20)
    assert interactions(store_at(server.url), "acme") == 2


def test_a_server_that_forgot_its_scripts_learns_them_again(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    client = redis.Redis.from_url(server.url)
    for number in range(10):
        client.script_flush()
        assert writer.send(interaction(number))
    assert interactions(store, "acme") == 10


def test_a_server_without_memory_takes_a_flush_wholly_or_not_at_all(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    client = redis.Redis.from_url(server.url)
    client.config_set("maxmemory", 1)
    for number in range(1, 20):
        assert not writer.send(interaction(number))
    assert writer.flusher.counters["flushes_failed_out_of_memory"] == 19
    client.config_set("maxmemory", 0)
    assert writer.flusher.flush()
    assert interactions(store, "acme") == 20
    assert writer.flusher.counters["flushes_refused"] == 0


def test_a_server_that_becomes_a_replica_is_written_to_when_it_is_a_primary_again(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    client = redis.Redis.from_url(server.url)
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    assert not writer.send(interaction(1))
    assert writer.flusher.counters["flushes_failed_read_only"] == 1
    client.execute_command("REPLICAOF", "NO", "ONE")
    assert writer.send(interaction(2))
    assert interactions(store, "acme") == 3


def test_after_a_failover_the_replica_knows_what_was_applied_and_applies_the_rest_once(
    server: Valkey, tmp_path_factory: pytest.TempPathFactory
) -> None:
    replica = Valkey(tmp_path_factory.mktemp("replica"))
    replica.start()
    try:
        first, second = redis.Redis.from_url(server.url), redis.Redis.from_url(replica.url)
        password = second.config_get("requirepass")["requirepass"]
        first.config_set("requirepass", password)
        second.config_set("masterauth", password)
        second.execute_command("REPLICAOF", "127.0.0.1", str(server.port))
        eventually("it follows", lambda: second.info("replication")["master_link_status"] == "up", 20)
        with Proxy(server.port) as proxy:
            store = store_at(replica.url.replace(f":{replica.port}/", f":{proxy.port}/"))
            writer = Writer(store)
            assert writer.send(*[interaction(number) for number in range(10)])
            proxy.cut_answer = 1.0
            assert not writer.send(interaction(10))  # applied, and nobody said so
            eventually("the replica has all", lambda: _offset(first) == _offset(second), 20)
            server.kill()
            assert not writer.send(interaction(11))
            second.execute_command("REPLICAOF", "NO", "ONE")
            proxy.cut_answer, proxy.target = 0.0, replica.port
            eventually("everything is sent", writer.flusher.flush, 20)
            assert interactions(store_at(replica.url), "acme") == 12
            assert writer.flusher.counters["flushes_repeated"] == 1
    finally:
        replica.stop()


def test_a_server_that_reads_its_file_is_waited_for(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    some = redis.Redis.from_url(server.url).pipeline(transaction=False)
    for number in range(30_000):
        some.set(f"other-{number}", number)
    some.execute()
    server.stop()
    server.options = ("--key-load-delay", "100", "--loading-process-events-interval-bytes", "1024")
    starting = threading.Thread(target=server.start)
    starting.start()
    writer.put(interaction(1))
    try:
        eventually("it loads", lambda: not writer.flusher.flush() and writer.flusher.counters["flushes_failed_loading"], 20)
    finally:
        starting.join(60)
    assert writer.flusher.flush()
    assert interactions(store, "acme") == 2


def test_a_server_held_up_by_a_script_is_waited_for(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    client = redis.Redis.from_url(server.url)
    client.config_set("busy-reply-threshold", 50)
    endless = threading.Thread(target=_run_for_ever, args=(server.url,))
    endless.start()
    try:
        eventually("it is busy", lambda: _is_busy(client), 20)
        assert not writer.send(interaction(0))
        assert writer.flusher.counters["flushes_failed_busy"] == 1
    finally:
        client.script_kill()
        endless.join(20)
    assert writer.flusher.flush()
    assert interactions(store, "acme") == 1


def _is_busy(server: redis.Redis) -> bool:
    try:
        server.ping()
    except redis.ResponseError as error:
        return str(error).startswith("BUSY")
    return False


def _offset(server: redis.Redis) -> int:
    """How far the stream of changes has come."""
    return int(server.info("replication")["master_repl_offset"])


def _run_for_ever(url: str) -> None:
    with contextlib.suppress(redis.ResponseError):
        redis.Redis.from_url(url).eval("while true do end", 0)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("CONFIG", "SET", "min-replicas-to-write", "1"), "no_replicas"),
        (("ACL", "SETUSER", "default", "-evalsha"), "not_allowed"),
    ],
)
def test_what_ops_mend_is_counted_by_its_reason(server: Valkey, command: tuple[str, ...], reason: str) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    client = redis.Redis.from_url(server.url)
    client.execute_command(*command)
    assert not writer.send(interaction(1))
    assert writer.flusher.counters[f"flushes_failed_{reason}"] == 1
    client.execute_command("CONFIG", "SET", "min-replicas-to-write", "0")
    client.execute_command("ACL", "SETUSER", "default", "+evalsha")
    assert writer.send(interaction(2))
    assert interactions(store, "acme") == 3


def test_a_server_that_cannot_write_its_file_is_written_to_when_it_can(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    client = redis.Redis.from_url(server.url)
    client.config_set("save", "3600 1")
    in_the_way = Path(client.config_get("dir")["dir"]) / client.config_get("dbfilename")["dbfilename"]
    in_the_way.mkdir()
    client.bgsave()
    eventually("it fails to save", lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", 20)
    assert not writer.send(interaction(1))
    assert writer.flusher.counters["flushes_failed_cannot_save"] == 1
    in_the_way.rmdir()
    client.bgsave()
    eventually("it is taken", writer.flusher.flush, 20)
    assert interactions(store, "acme") == 2


def test_a_password_that_changed_loses_nothing(server: Valkey) -> None:
    client = redis.Redis.from_url(server.url)
    old = client.config_get("requirepass")["requirepass"]
    store = store_at(server.url)
    writer = Writer(store)
    assert writer.send(interaction(0))
    client.config_set("requirepass", "another")
    redis.Redis(port=server.port, password="another").client_kill_filter(_type="normal", skipme=True)
    assert not writer.send(interaction(1))
    redis.Redis(port=server.port, password="another").config_set("requirepass", old)
    assert writer.send(interaction(2))
    assert interactions(store, "acme") == 3


def test_while_it_is_away_memory_is_bounded_and_the_oldest_minutes_go_and_are_counted(server: Valkey) -> None:
    store = store_at(server.url)
    writer = Writer(store, max_pending=30_000)
    server.stop()
    for offset in range(60):
        writer.send(*[interaction(number, f"tenant-{number}", MINUTE + offset) for number in range(3)])
        assert writer.flusher.pending_bytes() < 100_000
    server.start()
    assert writer.flusher.flush()
    assert writer.send()
    counted = fields(everything(store), "")
    dropped = counted["me\x1fminutes_dropped:n"]
    assert 0 < dropped < 60
    # What was under way when the server went is not dropped: it may have been applied.
    kept = {batch.minute for shard in range(4) for batch in store.backlog(shard)}
    assert MINUTE + 59 in kept
    assert counted["i:n"] >= 3 * (60 - dropped)


def test_one_tenant_in_an_endless_minute_is_bounded_by_its_series(server: Valkey) -> None:
    writer = Writer(store_at(server.url))
    server.stop()
    for number in range(5_000):
        writer.put(interaction(number % 20))
    writer.flusher.flush()
    assert writer.flusher.pending_bytes() < 45_000
