"""Records that come late, from clocks that differ, in halves, or to a hot store that forgot everything: each counts once."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
import redis

from apps.monitoring.core.clock import minute_of, to_datetime, to_minute
from apps.monitoring.core.event import Event
from apps.monitoring.ingest.hotstore import Batch, Chunk, HotStore, shard_of
from apps.monitoring.models import RollupBatch, ShardProgress
from apps.monitoring.rollup import batches, shards
from tests.integration.ingest.hot import MINUTE, Writer, interaction
from tests.integration.rollup.stored import AFTER, clear, roll_up, rows, send, some, value
from tests.unit.ingest.made import event

pytestmark = pytest.mark.usefixtures("stores")

DAY = 1_440


@pytest.mark.parametrize("late", [5, 90, DAY, 20 * DAY], ids=["minutes", "hours", "a day", "weeks"])
def test_records_that_are_late_count_in_their_minute_as_if_they_had_been_in_time(late: int, valkey: redis.Redis) -> None:
    in_time, belated = some(150, seed=1), some(150, seed=2)
    meanwhile = [interaction(number, "acme", MINUTE + late) for number in range(5)]
    now = (MINUTE + late + 2) * 60.0
    send(*in_time, *belated, *meanwhile)
    roll_up(now)
    wanted = rows()
    clear(valkey)
    send(*in_time)
    roll_up((MINUTE + 4) * 60.0)
    send(*meanwhile)
    roll_up(now)
    send(*belated)
    roll_up(now)
    assert rows() == wanted
    assert RollupBatch.objects.filter(late=True).exists()


def test_writers_whose_clocks_differ_count_everything_once_in_the_minute_that_each_says(valkey: redis.Redis) -> None:
    """Three writers, one of them 70 seconds behind and one 50 ahead, while a tick comes every 20 seconds."""
    skews = {"behind": -70.0, "right": 0.0, "ahead": 50.0}
    said: list[Any] = []

    def record(writer: str, now: float, number: int) -> Any:
        kind, tenant, _, *rest = interaction(number % 40, "acme", model_used=writer)
        said.append([kind, tenant, now + skews[writer], *rest])
        return said[-1]

    writers = {name: Writer(HotStore.from_conf()) for name in skews}
    for tick in range(18):
        now = MINUTE * 60.0 + 20.0 * tick
        for name, writer in writers.items():
            assert writer.send(*[record(name, now + part, 10 * tick + part) for part in range(10)])
        roll_up(now + 10)
    roll_up()
    disordered = rows()
    clear(valkey)
    send(*said)
    roll_up()
    assert disordered == rows()
    assert value("interactions", "acme") == 3 * 180


def test_a_wiped_hot_store_loses_what_it_alone_had_and_the_writers_go_on_with_their_numbers(valkey: redis.Redis) -> None:
    writer = Writer(HotStore.from_conf())
    assert writer.send(*[interaction(number, "acme") for number in range(10)])
    roll_up()
    assert writer.send(*[interaction(number, "acme", MINUTE + 1) for number in range(100)])
    valkey.flushall()
    for number in range(5):
        assert writer.send(interaction(number, "acme", MINUTE))
        assert writer.send(interaction(number, "acme", MINUTE + 2))
    roll_up()
    roll_up()
    assert [value("interactions", "acme", [MINUTE + offset]) for offset in range(3)] == [10 + 5, 0, 5]
    assert writer.flusher.counters["flushes_repeated"] == 0


def test_a_hot_store_that_is_wiped_while_a_batch_is_read_commits_what_was_read_and_goes_on(valkey: redis.Redis) -> None:
    shard = shard_of("acme", 8)

    class Wiped(HotStore):
        def chunks(self, shard: int, batch: Batch) -> Iterator[Chunk]:
            found = list(super().chunks(shard, batch))
            valkey.flushall()
            yield from found

    plain = HotStore.from_conf()
    send(interaction(0, "acme"), interaction(0, "acme", MINUTE + 1))
    # The second minute was sealed, and is gone: an empty batch.
    assert shards.roll_up(shard, AFTER, Wiped(plain._server, plain._prefix, 8)).batches == 2
    send(interaction(1, "acme"), interaction(1, "acme", MINUTE + 1))
    roll_up()
    assert [value("interactions", "acme", [MINUTE + offset]) for offset in range(2)] == [2, 1]


def test_a_batch_that_is_read_by_half_is_not_in_the_snapshots_until_it_is_whole() -> None:
    """Enough tenants for several reads; the connection breaks after the first."""

    class Breaks(HotStore):
        def chunks(self, shard: int, batch: Batch) -> Iterator[Chunk]:
            yield from islice(super().chunks(shard, batch), 1)
            raise redis.ConnectionError

    plain = HotStore.from_conf()
    store = Breaks(plain._server, plain._prefix, 1)
    assert Writer(store).send(*[interaction(number, f"tenant-{number}") for number in range(600)])
    for _ in range(2):
        with pytest.raises(redis.ConnectionError):
            shards.roll_up(0, AFTER, store)
        assert rows() == {}
        assert not RollupBatch.objects.exists()
    assert shards.roll_up(0, AFTER, HotStore(plain._server, plain._prefix, 1)).batches == 1
    assert len({row[0] for row in rows()}) == 601


def test_a_batch_that_is_dropped_by_half_is_dropped_wholly_and_counts_once(valkey: redis.Redis) -> None:
    send(*some(200))
    store = HotStore.from_conf()
    for shard in range(8):
        for batch in store.seal(shard, MINUTE + 10):
            assert batches.commit(shard, batch, store.chunks(shard, batch))
    wanted = rows()
    contents = sorted(key for key in valkey.scan_iter("*") if ":f:" in key or ":d:" in key)
    valkey.delete(*contents[::2])
    assert roll_up() == 0
    assert rows() == wanted
    assert [key for key in valkey.scan_iter("*") if ":w:" not in key] == []


def test_after_an_outage_the_last_minutes_come_first_and_the_others_oldest_first_and_rules_catch_up_with_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shards, "_TICK_SECONDS", 0.0)
    shard, store = shard_of("acme", 8), HotStore.from_conf()
    send(*[interaction(number, "acme", MINUTE + number) for number in range(29)])
    done, reached = [], []
    left = 29
    while left:
        left = shards.roll_up(shard, AFTER, store).left
        done.append(set(stored_minutes()) - set().union(*done))
        reached.append(to_minute(ShardProgress.objects.get(shard=shard).complete_until) - MINUTE)
    assert done == [{MINUTE, MINUTE + 27, MINUTE + 28}, *({MINUTE + number} for number in range(1, 27))]
    assert reached == [*range(1, 27), 29]
    assert value("interactions", "acme") == 29


def test_three_hours_of_several_shards_are_worked_off_oldest_first_and_no_live_minute_waits_for_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shards, "_TICK_SECONDS", 0.05)
    store, end = HotStore.from_conf(), MINUTE + 180
    tenants = {shard_of(f"t-{number}", 8): f"t-{number}" for number in range(60)}
    busy = sorted(tenants)[:3]

    def rated(shard: int, minute: int) -> Event:
        return event("feedback", when=minute * 60.0, tenant=tenants[shard], score=4)

    send(*[rated(shard, minute) for shard in busy for minute in range(MINUTE, end)])
    now, rounds, sent, known = end * 60.0 + 5, 0, 3 * 180, 0
    left = True
    while left:
        send(*[rated(shard, minute_of(now)) for shard in busy])
        sent += 3
        ticks = [shards.roll_up(shard, now, store) for shard in range(8)]
        left = any(tick.left for tick in ticks)
        due = shards.due_until(now)
        found = set(RollupBatch.objects.filter(minute__gte=to_datetime(end)).values_list("shard", "minute"))
        # Whatever is behind: what was due at the beginning of the tick is in the snapshots at its end.
        assert found == {(shard, to_datetime(minute)) for shard in busy for minute in range(end, due)}
        reached = min(to_minute(one.complete_until) for one in ShardProgress.objects.all())
        assert known <= reached <= due
        assert reached < end or not left
        known, now, rounds = reached, now + 15, rounds + 1
    assert rounds > 3, "the backlog was too small to say anything"
    for shard in busy:
        behind = RollupBatch.objects.filter(shard=shard, minute__lt=to_datetime(end - 2)).order_by("committed_at")
        assert [to_minute(batch.minute) for batch in behind] == list(range(MINUTE, end - 2))
    roll_up(now + 120)
    assert sum(value("feedback", tenants[shard]) for shard in busy) == sent


def test_late_minutes_that_are_left_to_the_next_tick_do_not_move_the_watermark_back(monkeypatch: pytest.MonkeyPatch) -> None:
    shard, store = shard_of("acme", 8), HotStore.from_conf()
    shards.roll_up(shard, AFTER, store)
    monkeypatch.setattr(shards, "_TICK_SECONDS", 0.0)
    send(*[interaction(number, "acme", MINUTE + number) for number in range(5)])
    assert shards.roll_up(shard, AFTER, store).left == 4
    assert to_minute(ShardProgress.objects.get(shard=shard).complete_until) == MINUTE + 29


def stored_minutes() -> list[int]:
    return [to_minute(batch.minute) for batch in RollupBatch.objects.all()]
