"""A hot store with `appendfsync everysec` dies: alone, or with the machine and the last second of its append-only file."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import redis

from apps.monitoring.core.event import Event
from apps.monitoring.ingest.hotstore import Batch, HotStore
from apps.monitoring.ingest.server import Single
from apps.monitoring.query.source import watermark
from apps.monitoring.rollup import shards
from config.embedded.valkey import Valkey
from tests.integration.ingest.hot import MINUTE, Writer, interaction
from tests.integration.rollup.stored import AFTER, Row, clear, rows
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

SHARDS = 4
TENANTS = ("acme", "bolt")


class Disk:
    """A Valkey of the test's own, and how far its append-only file has come."""

    def __init__(self, folder: Path) -> None:
        self.server = Valkey(folder)
        self.server.start()
        with self.client() as client:
            wanted = {"appendonly": "yes", "appendfsync": "everysec", "aof-load-truncated": "yes"}
            assert client.config_get(*wanted) == wanted

    def client(self) -> Any:
        return redis.Redis.from_url(self.server.url, decode_responses=True)

    def file(self) -> Path:
        (found,) = self.server.state.glob("valkey/appendonlydir/*.incr.aof")
        return found

    def unwritten(self) -> int:
        """Bytes that were answered and are not in the file: they wait while an fsync is under way."""
        with self.client() as client:
            return int(client.info("persistence")["aof_buffer_length"])

    def is_syncing(self) -> bool:
        with self.client() as client:
            return bool(client.info("persistence")["aof_pending_bio_fsync"])

    def written(self) -> int:
        """Bytes in the file once everything that was answered is in it."""
        eventually("it is written", lambda: not self.unwritten(), 10)
        return self.file().stat().st_size

    def follow(self, primary: Disk) -> None:
        """Have everything that the other has now, and be a primary from then on."""
        with self.client() as own, primary.client() as of:
            own.config_set("masterauth", of.config_get("requirepass")["requirepass"])
            own.execute_command("REPLICAOF", "127.0.0.1", primary.server.port)
            eventually("it has everything", lambda: own.info("replication").get("master_link_status") == "up", 20)
            own.execute_command("REPLICAOF", "NO", "ONE")

    def crash(self) -> None:
        """The process alone: what it had written stays."""
        self.server.kill()
        self.server.start()

    def lose(self, after: int) -> None:
        """The machine: what stays is what the last fsync wrote, so many bytes."""
        self.server.stop()
        with self.file().open("rb+") as file:
            assert file.seek(0, os.SEEK_END) >= after
            file.truncate(after)
        self.server.start()


class Noted(HotStore):
    """Notes where the file ends after each step of a roll-up."""

    def __init__(self, disk: Disk) -> None:
        client = redis.Redis.from_url(disk.server.url, decode_responses=True)
        super().__init__(Single(client), "agentmon", SHARDS)
        self._disk = disk
        self.ends: dict[str, int] = {}

    def seal(self, shard: int, until: int) -> list[Batch]:
        found = super().seal(shard, until)
        if found:
            self.ends["sealed"] = self._disk.written()
        return found

    def drop(self, shard: int, batch: Batch) -> None:
        super().drop(shard, batch)
        self.ends["dropped"] = self._disk.written()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    own = Disk(tmp_path)
    yield own
    own.server.stop()


def part(number: int, *, minute: int = MINUTE, tenant: str = TENANTS[0]) -> list[Event]:
    """Some events of their own, of one tenant: one flush of one shard."""
    return [interaction(10 * number + one, tenant, minute, estimated_cost=0.01 * number) for one in range(5)]


def of_customers() -> dict[Row, tuple[Any, ...]]:
    """What befell the monitoring itself is left out."""
    return {row: found for row, found in rows().items() if row[1] != "monitor_events"}


def ledger(*events: Event, valkey: redis.Redis) -> dict[Row, tuple[Any, ...]]:
    """The rows of events that nothing befell, recorded into a server that stays up."""
    store = HotStore(HotStore.from_conf()._server, "agentmon", SHARDS)
    clear(valkey)
    assert Writer(store).send(*events)
    shards.roll_up_all(AFTER, store)
    wanted = of_customers()
    clear(valkey)
    return wanted


def nothing_is_stuck(store: HotStore) -> bool:
    """Every minute that is due is complete, and no batch of one is left."""
    reached, due = watermark(SHARDS), shards.due_until(AFTER)
    left = [batch for _, batch in store.backlogs(range(SHARDS)) if batch.minute < due]
    return reached == due and not left


def test_a_kill_of_the_process_loses_nothing_that_was_written(disk: Disk, valkey: redis.Redis) -> None:
    parts = [part(number, minute=MINUTE + number % 3, tenant=TENANTS[number % 2]) for number in range(12)]
    wanted = ledger(*chain(*parts), valkey=valkey)
    store = Noted(disk)
    writer = Writer(store)
    for number, events in enumerate(parts):
        assert writer.send(*events)
        if number % 3 == 0:
            disk.written()
            disk.crash()
        if number == 7:
            shards.roll_up_all(AFTER, store)
    shards.roll_up_all(AFTER, store)
    assert of_customers() == wanted
    assert nothing_is_stuck(store)
    assert writer.flusher.counters["flushes_repeated"] == 0


def test_a_kill_while_an_fsync_takes_long_loses_what_was_answered_meanwhile(
    disk: Disk, valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before, meanwhile, later = part(0), part(1), part(2)
    wanted = ledger(*before, *later, valkey=valkey)
    store = Noted(disk)
    writer = Writer(store)
    with monkeypatch.context() as slow:
        slow.setenv("LD_PRELOAD", str(slow_disk(tmp_path)))
        disk.crash()
    assert writer.send(*before)
    eventually("an fsync is under way", disk.is_syncing, 10)
    assert writer.send(*meanwhile)
    assert disk.unwritten() > 0
    disk.crash()
    assert writer.send(*later)
    shards.roll_up_all(AFTER, store)
    assert of_customers() == wanted
    assert nothing_is_stuck(store)


def slow_disk(folder: Path) -> Path:
    """A library that, loaded before the system's own, has every fsync take a minute."""
    source, library = folder / "slow.c", folder / "slow.so"
    source.write_text(
        "#include <unistd.h>\nint fsync(int fd) { sleep(60); return 0; }\nint fdatasync(int fd) { sleep(60); return 0; }\n"
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


TORN = [0, 1, 9]
"""Bytes of what came after the last fsync that are on the disk nevertheless."""


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize("last", [0, 2, 4])
def test_what_was_answered_in_the_lost_second_is_missing_and_nothing_else(
    last: int, torn: int, disk: Disk, valkey: redis.Redis
) -> None:
    parts = [part(number, minute=MINUTE + number % 2) for number in range(5)]
    later = part(5)
    wanted = ledger(*chain(*parts[:last]), *later, valkey=valkey)
    store = Noted(disk)
    writer = Writer(store)
    ends = [disk.written()]
    for events in parts:
        assert writer.send(*events)
        ends.append(disk.written())
    disk.lose(after=ends[last] + torn)
    assert writer.send(*later)
    shards.roll_up_all(AFTER, store)
    assert of_customers() == wanted
    assert nothing_is_stuck(store)


@pytest.mark.parametrize("torn", TORN)
@pytest.mark.parametrize("after", ["nothing", "opened", "joined", "sealed", "dropped"])
def test_a_batch_that_the_snapshots_hold_counts_once_when_the_hot_store_has_it_again(
    after: str, torn: int, disk: Disk, valkey: redis.Redis
) -> None:
    """And what comes late for its minute counts, too: it is another batch."""
    first, second, not_due, late = part(0), part(1), part(2, minute=MINUTE + 60), part(3)
    wanted = ledger(*first, *second, *late, valkey=valkey)
    store = Noted(disk)
    writer = Writer(store)
    ends = {"nothing": disk.written()}
    for name, events in (("opened", first), ("joined", second)):
        assert writer.send(*events)
        ends[name] = disk.written()
    shards.roll_up_all(AFTER, store)
    ends |= store.ends
    assert sorted(ends.values()) == list(ends.values())
    assert writer.send(*not_due)
    disk.lose(after=ends[after] + torn)
    assert writer.send(*late)
    shards.roll_up_all(AFTER, store)
    assert of_customers() == wanted
    assert nothing_is_stuck(store)


def test_a_minute_under_way_has_two_batches_and_waits_until_it_is_due(disk: Disk, valkey: redis.Redis) -> None:
    before, after = part(0), part(1)
    wanted = ledger(*before, *after, valkey=valkey)
    store = Noted(disk)
    writer = Writer(store)
    assert writer.send(*before)
    disk.written()
    disk.crash()
    assert writer.send(*after)
    shards.roll_up_all(MINUTE * 60.0 + 59, store)
    assert rows() == {}
    assert len(store.backlogs(range(SHARDS))) == 2
    shards.roll_up_all(AFTER, store)
    assert of_customers() == wanted


def test_a_batch_that_the_snapshots_hold_counts_once_when_a_replica_that_was_behind_takes_over(
    disk: Disk, valkey: redis.Redis, tmp_path_factory: pytest.TempPathFactory
) -> None:
    first, second, late = part(0), part(1), part(2)
    wanted = ledger(*first, *second, *late, valkey=valkey)
    replica = Disk(tmp_path_factory.mktemp("replica"))
    try:
        store = Noted(disk)
        writer = Writer(store)
        assert writer.send(*first)
        replica.follow(disk)  # and hears nothing of what follows
        assert writer.send(*second)
        shards.roll_up_all(AFTER, store)
        disk.server.stop()
        behind = Noted(replica)
        assert len(behind.backlogs(range(SHARDS))) == 1
        writer.flusher._store = behind
        assert writer.send(*late)
        shards.roll_up_all(AFTER, behind)
        assert of_customers() == wanted
        assert nothing_is_stuck(behind)
    finally:
        replica.server.stop()
