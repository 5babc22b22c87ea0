"""Slots that move and servers that die while a cluster is written to and rolled up."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone
from redis.exceptions import TryAgainError

from apps.monitoring.ingest import server
from apps.monitoring.ingest.hotstore import Batch, HotStore, shard_of
from apps.monitoring.rollup import shards
from apps.monitoring.status import status
from config.embedded.valkey import Valkey
from tests.integration.ingest.hot import MINUTE, Writer, interaction, interactions
from tests.integration.rollup.stored import AFTER, Row, clear, rows, send, some
from tests.patience import eventually
from tests.servers.cluster import SECONDS, Cluster, Move, connected

SHARDS = 4
SHARD = shard_of("acme", SHARDS)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    own = Cluster.start(tmp_path_factory.mktemp("cluster"))
    yield own
    own.stop()


@pytest.fixture
def empty(cluster: Cluster) -> Cluster:
    client = cluster.client()
    client.flushall()
    client.close()
    return cluster


def store_of(cluster: Cluster) -> HotStore:
    """With a map of the slots of its own, as another process has."""
    return HotStore(server.Cluster(cluster.url), "moves", SHARDS)


def slot_of(cluster: Cluster, shard: int) -> int:
    with connected(cluster.nodes[0]) as client:
        return int(client.execute_command("CLUSTER KEYSLOT", f"moves:{{{shard}}}:open"))


def elsewhere(cluster: Cluster, slot: int) -> Any:
    owner = cluster.owner(slot)
    return next(node for node in cluster.nodes if node is not owner)


def held(store: HotStore) -> dict[tuple[int, str], Any]:
    """What is in the hot store, key by key: no script is asked."""
    return {
        (batch.minute, one.tenant): (one.fields, one.members)
        for tenant in ("acme", "", "nobody")
        for batch, one in store.read_tenant(store.backlogs([SHARD]), tenant)
    }


def read(store: HotStore, batch: Batch) -> dict[tuple[int, str], Any]:
    """What a roll-up reads of a batch."""
    return {(batch.minute, one.tenant): (one.fields, one.members) for one in store.read(SHARD, batch)}


class TestASlotOnItsWay:
    @pytest.mark.parametrize("carried", ["nothing", "some", "everything"])
    def test_no_script_runs_and_whoever_reads_finds_all(self, empty: Cluster, carried: str) -> None:
        store = store_of(empty)
        assert Writer(store).send(*[interaction(n, "acme", MINUTE + n % 3) for n in range(30)])
        (sealed,) = store.seal(SHARD, MINUTE + 1)
        wanted = held(store)
        assert len(wanted) == 6

        slot = slot_of(empty, SHARD)
        move = Move(empty, slot, elsewhere(empty, slot))
        move.begin()
        while carried != "nothing" and move.carry(3) and carried == "everything":
            pass
        late = Writer(store)
        assert not late.send(interaction(30, "acme", MINUTE))
        assert late.flusher.counters["flushes_failed_cluster"] == 1
        for script in (
            lambda: store.seal(SHARD, MINUTE + 2),
            lambda: store.drop(SHARD, sealed),
        ):
            with pytest.raises(TryAgainError):
                script()
        assert held(store) == wanted
        assert read(store, sealed) == {key: one for key, one in wanted.items() if key[0] == MINUTE}

        while move.carry(10):
            pass
        move.end()
        assert held(store) == wanted
        assert late.flusher.flush()
        assert late.flusher.counters["flushes_refused"] == 0
        assert interactions(store, "acme") == 31
        store.drop(SHARD, sealed)
        assert len(store.seal(SHARD, MINUTE + 3)) == 3

    def test_what_moves_while_a_batch_is_read_is_read_once(self, empty: Cluster) -> None:
        store = store_of(empty)
        tenants = [name for name in map(str, range(6_000)) if shard_of(name, SHARDS) == SHARD]
        assert Writer(store).send(*[interaction(n, tenant, MINUTE) for n, tenant in enumerate(tenants)])
        (sealed,) = store.seal(SHARD, MINUTE + 1)
        found = store.read(SHARD, sealed)
        some = [next(found) for _ in range(200)]

        slot = slot_of(empty, SHARD)
        move = Move(empty, slot, elsewhere(empty, slot))
        move.begin()
        move.carry(1_000)
        some += [next(found) for _ in range(500)]
        while move.carry(1_000):
            pass
        move.end()
        some += found
        assert sorted(one.tenant for one in some) == sorted(["", *tenants])
        assert all(one.fields["i:n"] == 1 for one in some if one.tenant)

    def test_the_other_shards_go_on(self, empty: Cluster) -> None:
        tenants = [f"tenant-{number}" for number in range(40)]
        slot = slot_of(empty, SHARD)
        move = Move(empty, slot, elsewhere(empty, slot))
        move.begin()
        store = store_of(empty)
        writer = Writer(store)
        # More than one call of a script holds, so that they go on in the second round, too.
        assert not writer.send(*[interaction(n, tenants[n % 40], MINUTE + n % 50) for n in range(6_000)])
        stuck = sum(shard_of(tenants[n % 40], SHARDS) == SHARD for n in range(6_000))
        assert 0 < stuck < 6_000
        assert interactions(store) == 6_000 - stuck
        move.end()
        assert writer.flusher.flush()
        assert interactions(store) == 6_000


@pytest.mark.usefixtures("stores")
def test_while_slots_move_to_and_fro_and_a_server_joins_everything_counts_once(empty: Cluster, valkey: redis.Redis) -> None:
    """Three writers, a roll-up and a resharding at once; the rows are those of an undisturbed run to the last byte."""
    events = some(1_200, seed=7, minutes=6)
    wanted = undisturbed(empty, events)
    clear(valkey)
    empty.client().flushall()

    joined = empty.join()  # without a slot, so no client hears of it before an ASK names it
    written = threading.Event()
    with ThreadPoolExecutor(5) as threads:
        moving, rolling = threads.submit(reshard, empty, joined, written), threads.submit(roll_up, empty, written)
        writing = [threads.submit(write, empty, events[part::3]) for part in range(3)]
        wait(writing)
        written.set()
    moving.result()
    rolling.result()
    told = sum((future.result() for future in writing), start=Counter[str]())

    for shard in range(SHARDS):
        shards.roll_up(shard, AFTER, store_of(empty))
    assert rows() == wanted
    assert told["flushes_refused"] == 0
    assert told["flushes_failed_cluster"] > 0, "nothing stood in the way of any flush: this has tested nothing"
    # What befell the writers is counted in the minute that it is now, which is not due.
    waiting = {batch.id for shard in range(SHARDS) for batch in store_of(empty).backlog(shard)}
    assert {key.split(":")[3] for key in empty.client().scan_iter("*:b:*")} == waiting


def undisturbed(cluster: Cluster, events: list[Any]) -> dict[Row, Any]:
    send(*events, store=store_of(cluster))
    for shard in range(SHARDS):
        shards.roll_up(shard, AFTER, store_of(cluster))
    return rows()


def write(cluster: Cluster, events: list[Any]) -> Counter[str]:
    """Returns what befell the flushes."""
    writer = Writer(store_of(cluster))
    for start in range(0, len(events), 10):
        writer.send(*events[start : start + 10])
        time.sleep(0.03)
    eventually("the cluster has taken everything", writer.flusher.flush, SECONDS)
    return writer.flusher.counters


def roll_up(cluster: Cluster, written: threading.Event) -> None:
    store = store_of(cluster)
    try:
        while not written.is_set():
            for shard in range(SHARDS):
                with suppress(redis.RedisError):  # as the task: the next tick finds what this one left
                    shards.roll_up(shard, AFTER, store)
    finally:
        connection.close()


def reshard(cluster: Cluster, joined: Valkey, written: threading.Event) -> None:
    """Move the slots of all shards to the new server, one after the other, and then anywhere."""
    generator = random.Random(3)
    for moves in count():
        if written.is_set() and moves >= 2 * SHARDS:
            return
        slot = slot_of(cluster, moves % SHARDS)
        owner = cluster.owner(slot)
        others = [node for node in cluster.nodes if node is not owner]
        move = Move(cluster, slot, joined if moves < SHARDS else generator.choice(others))
        move.begin()
        while move.carry(5):
            time.sleep(0.02)
        move.end()


def test_a_slot_that_moves_at_once_keeps_no_flush_waiting(empty: Cluster) -> None:
    slot = slot_of(empty, SHARD)
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write, empty, [interaction(n) for n in range(600)])
        while not writing.done():
            empty.move_at_once(slot, elsewhere(empty, slot))
    told = writing.result()
    assert not [event for event in told if event.startswith("flushes_") and event != "flushes_repeated"]
    assert interactions(store_of(empty), "acme") == 600


def test_a_replica_that_takes_over_goes_on_where_the_primary_was(tmp_path: Path) -> None:
    pair = Cluster.start(tmp_path, size=1)
    try:
        replica = pair.follow(pair.nodes[0])
        with ThreadPoolExecutor(1) as threads:
            writing = threads.submit(write, pair, [interaction(n) for n in range(600)])
            with connected(replica) as client:
                client.execute_command("CLUSTER FAILOVER")
                eventually("the replica has taken over", lambda: client.info("replication")["role"] == "master", SECONDS)
        assert writing.result()["flushes_refused"] == 0
        assert interactions(store_of(pair), "acme") == 600
        pair.nodes[0].kill()
        assert interactions(store_of(pair), "acme") == 600
    finally:
        pair.stop()


def test_a_server_that_is_killed_and_comes_back_has_what_it_confirmed_and_gets_what_it_missed(empty: Cluster) -> None:
    store, writer = store_of(empty), Writer(store_of(empty))
    assert writer.send(*[interaction(n, f"tenant-{n % 40}") for n in range(400)])
    owner = empty.owner(slot_of(empty, SHARD))
    owner.kill()
    assert not writer.send(*[interaction(n, f"tenant-{n % 40}") for n in range(400)])
    with pytest.raises(redis.RedisError):
        store.ping()
    with pytest.raises(redis.RedisError):
        store.backlog(SHARD)
    owner.start()
    eventually("the cluster takes flushes again", writer.flusher.flush, SECONDS)
    eventually("every server answers", lambda: answers(store), SECONDS)
    assert writer.flusher.counters["flushes_refused"] == 0
    assert interactions(store) == 800


def test_any_server_of_the_address_that_answers_will_do(empty: Cluster) -> None:
    credentials, at, hosts = empty.url.rpartition("@")
    store = HotStore(server.Cluster(f"{credentials}{at}127.0.0.1:1,{hosts}"), "moves", SHARDS)
    assert Writer(store).send(interaction(0))
    assert interactions(store) == 1


def test_a_cluster_that_is_away_costs_no_call_anything_before_a_flush_which_then_fails_once_for_all_shards() -> None:
    store = HotStore(server.Cluster("redis+cluster://127.0.0.1:1,127.0.0.1:2"), "moves", 64)
    writer = Writer(store)
    began = time.monotonic()
    assert not writer.send(*[interaction(n, f"tenant-{n}") for n in range(200)])
    assert time.monotonic() - began < 5
    assert writer.flusher.counters["flushes_failed_connection"] == 1
    with pytest.raises(redis.ConnectionError, match="the cluster does not answer"):
        store.ping()


def test_a_server_that_hangs_holds_a_flush_up_once_and_the_next_one_sends_to_the_others_first(tmp_path: Path) -> None:
    own = Cluster.start(tmp_path)
    try:
        for node in own.nodes:
            with connected(node) as client:
                client.config_set("cluster-require-full-coverage", "no")
        store = HotStore(server.Cluster(own.url), "moves", 16)
        writer = Writer(store)
        assert writer.send(*everywhere())
        owner = own.owner(slot_of(own, shard_of("tenant-0", 16)))
        theirs = {shard for shard in range(16) if own.owner(slot_of(own, shard)) is owner}
        assert len(theirs) > 2

        assert owner._process is not None
        os.killpg(owner._process.pid, signal.SIGSTOP)
        began = time.monotonic()
        assert not writer.send(*everywhere())
        assert time.monotonic() - began < 3 * server.TIMEOUT_SECONDS  # the library asks twice
        assert not writer.flusher.flush()
        assert {number for number, shard in writer.flusher._shards.items() if shard.in_flight} == theirs

        os.killpg(owner._process.pid, signal.SIGCONT)
        eventually("the cluster takes flushes again", writer.flusher.flush, SECONDS)
        assert interactions(store) == 2 * len(everywhere())
    finally:
        own.stop()


def everywhere() -> list[Any]:
    """Events for every shard."""
    return [interaction(number, f"tenant-{number}") for number in range(100)]


def answers(store: HotStore) -> bool:
    try:
        store.ping()
    except redis.RedisError:
        return False
    return True


@pytest.mark.django_db
class TestStatus:
    def test_it_shows_the_servers_of_the_cluster_and_no_password(self, empty: Cluster, settings: Any) -> None:
        settings.REDIS_URL = empty.url
        shown = status(timezone.now()).details["hot_store"]
        assert shown["cluster"]["state"] == "ok"
        assert len(shown["cluster"]["servers"]) >= 3
        assert shown["address"] == empty.url.replace(":the-clusters-password@", "")

    def test_the_address_of_one_server_of_a_cluster_is_named_as_what_it_is(self, empty: Cluster, settings: Any) -> None:
        settings.REDIS_URL = empty.nodes[0].url
        assert any("REDIS_URL must begin with redis+cluster://" in problem for problem in status(timezone.now()).problems)
