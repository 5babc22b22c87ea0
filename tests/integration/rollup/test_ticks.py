"""When a shard is rolled up and by whom: watermarks, clocks, holds, several workers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest
import redis
from django.db import IntegrityError, connection
from django.utils import timezone

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.ingest.hotstore import Batch, Chunk, HotStore, shard_of
from apps.monitoring.ingest.recorder import recorder
from apps.monitoring.models import ShardProgress
from apps.monitoring.query.source import watermark
from apps.monitoring.rollup import clock, locks, shards
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import AFTER, clear, roll_up, rows, send, some, value
from workers.tasks.rollup import rollup_shard

pytestmark = pytest.mark.usefixtures("stores")


def test_a_minute_is_not_due_before_its_grace_is_over() -> None:
    send(interaction(tenant="acme"), interaction(0, "acme", MINUTE + 1))
    end = (MINUTE + 1) * 60.0
    assert roll_up(end + 4.9) == 0
    assert watermark(8) == MINUTE
    assert roll_up(end + 5) == 1
    assert watermark(8) == MINUTE + 1
    assert value("interactions", "acme") == 1


def test_the_watermark_is_that_of_the_slowest_shard() -> None:
    assert watermark(8) is None
    store = HotStore.from_conf()
    for shard in range(7):
        shards.roll_up(shard, AFTER, store)
    assert watermark(8) is None
    shards.roll_up(7, AFTER - 600, store)
    assert watermark(8) == MINUTE + 19


def test_a_shard_without_data_is_complete_too() -> None:
    roll_up()
    assert watermark(8) == MINUTE + 29


def test_a_shard_whose_batch_cannot_be_committed_keeps_its_watermark_and_its_batch() -> None:
    send(interaction(tenant="acme"))
    shard, store = shard_of("acme", 8), HotStore.from_conf()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_rollupbatch ADD CONSTRAINT nobody CHECK (shard < 0)")
    try:
        with pytest.raises(Exception, match="nobody"):
            shards.roll_up(shard, AFTER, store)
        assert ShardProgress.objects.get(shard=shard).complete_until == to_datetime(MINUTE)
        assert rows() == {}
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_rollupbatch DROP CONSTRAINT nobody")
    assert shards.roll_up(shard, AFTER, store).batches == 1
    assert value("interactions", "acme") == 1


def test_a_batch_that_is_refused_holds_up_its_minute_and_no_other_batch() -> None:
    send(*[interaction(minute, "acme", MINUTE + minute) for minute in range(6)])
    shard, store = shard_of("acme", 8), HotStore.from_conf()
    third = f"CHECK (minute <> '{to_datetime(MINUTE + 2).isoformat()}')"
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE monitoring_rollupbatch ADD CONSTRAINT never {third}")
    try:
        for _ in range(2):
            with pytest.raises(IntegrityError, match="never"):
                shards.roll_up(shard, AFTER, store)
            assert [batch.minute for batch in store.backlog(shard)] == [MINUTE + 2]
            assert ShardProgress.objects.get(shard=shard).complete_until == to_datetime(MINUTE + 2)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_rollupbatch DROP CONSTRAINT never")
    assert shards.roll_up(shard, AFTER, store).batches == 1
    assert value("interactions", "acme") == 6


class TestAClockThatIsWrong:
    @pytest.mark.parametrize(("hours", "taken"), [(2, 0), (-2, -2), (0, 0)])
    def test_the_earlier_one_is_taken_and_a_difference_is_counted(self, hours: int, taken: int) -> None:
        now, before = timezone.now(), recorder().flusher.counters["clocks_differ"]
        found = clock.earlier(now + timedelta(hours=hours))
        assert abs(found - now - timedelta(hours=taken)) < timedelta(seconds=5)
        assert recorder().flusher.counters["clocks_differ"] - before == bool(hours)

    def test_a_worker_that_is_ahead_seals_and_completes_nothing_that_is_not_over(self, monkeypatch: pytest.MonkeyPatch) -> None:
        now = timezone.now()
        send(interaction(0, "acme", to_minute(now)))
        monkeypatch.setattr(timezone, "now", lambda: now + timedelta(hours=2))
        rollup_shard(shard_of("acme", 8))
        assert ShardProgress.objects.get().complete_until <= now + timedelta(seconds=5)
        assert len(HotStore.from_conf().backlogs([shard_of("acme", 8)])) == 1


def test_a_worker_whose_clock_is_slow_moves_no_watermark_back() -> None:
    roll_up()
    send(interaction(tenant="acme"))
    assert roll_up(AFTER - 20 * 60) == 1
    assert watermark(8) == MINUTE + 29


def test_a_retreat_takes_back_only_what_was_ahead() -> None:
    roll_up()
    shards.retreat(MINUTE)
    assert watermark(8) == MINUTE
    shards.retreat(MINUTE + 20)
    assert watermark(8) == MINUTE


def test_a_hold_keeps_every_shard_from_being_sealed() -> None:
    send(interaction(tenant="acme"))
    entered, leave, answers = threading.Event(), threading.Event(), []

    def hold() -> None:
        try:
            with locks.hold():
                entered.set()
                leave.wait(20)
        finally:
            connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    assert entered.wait(20)
    answers = shards.roll_up_all(AFTER, HotStore.from_conf())
    leave.set()
    holder.join()
    assert [tick.busy for tick in answers] == [True] * 8
    assert watermark(8) is None
    assert roll_up() == 1


def test_a_hold_says_that_it_went_with_its_connection() -> None:
    with locks.hold() as held, connection.cursor() as cursor:
        assert held()
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()
        thread = threading.Thread(target=_terminate, args=own)
        thread.start()
        thread.join()
        assert not held()
        connection.close()
        assert not held(), "another connection has no hold"


def _terminate(backend: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [backend])
    connection.close()


def test_several_processes_at_once_count_everything_once(valkey: redis.Redis) -> None:
    everything = some(500)
    send(*everything)
    roll_up()
    wanted = rows()
    clear(valkey)
    stop = threading.Event()
    errors: list[BaseException] = []

    def work() -> None:
        try:
            while not stop.is_set():
                shards.roll_up_all(AFTER, HotStore.from_conf())
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for start in range(0, len(everything), 25):
        send(*everything[start : start + 25])
    stop.set()
    for worker in workers:
        worker.join()
    roll_up()
    assert errors == []
    assert rows() == wanted


def test_one_shard_is_worked_at_by_one_process_at_a_time() -> None:
    send(interaction(tenant="acme"))
    shard = shard_of("acme", 8)
    inside: list[bool] = []

    class Meanwhile(HotStore):
        def chunks(self, shard: int, batch: Batch) -> Iterator[Chunk]:
            def other() -> None:
                inside.append(shards.roll_up(shard, AFTER, HotStore.from_conf()).busy)
                connection.close()

            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
            return super().chunks(shard, batch)

    plain = HotStore.from_conf()
    assert shards.roll_up(shard, AFTER, Meanwhile(plain._server, plain._prefix, 8)).batches == 1
    assert inside == [True]
    assert value("interactions", "acme") == 1
