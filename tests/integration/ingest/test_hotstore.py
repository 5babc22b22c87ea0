"""The protocol of the hot store, on a real Valkey."""

from __future__ import annotations

import time

import pytest
import redis

from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import Batch, Held, HotStore, Record, shard_of
from apps.monitoring.ingest.server import server
from apps.monitoring.ingest.slot import Slot
from tests.integration.ingest.hot import MINUTE

SHARD = 2


def record(tenant: str = "acme", minute: int = MINUTE, count: int = 1, observed: int | None = None, *members: int) -> Record:
    slot = Slot()
    slot.count("i", count)
    if observed is not None:
        slot.observe("rt", observed)
    for member in members:
        slot.include("cv", member)
    return minute, tenant, slot


def read(store: HotStore, batch: Batch | None = None) -> dict[str, Held]:
    batches = [batch] if batch is not None else store.backlog(SHARD)
    return {held.tenant: held for one in batches for held in store.read(SHARD, one)}


def test_a_flush_is_applied_once_however_often_it_is_sent(store: HotStore) -> None:
    flush = {SHARD: (1, [record(count=5)])}
    assert [store.apply("writer", flush) for _ in range(3)] == [{SHARD: True}, {SHARD: False}, {SHARD: False}]
    assert read(store)["acme"].fields == {"i:n": 5}


def test_a_number_below_the_last_one_is_dropped_too(store: HotStore) -> None:
    store.apply("writer", {SHARD: (7, [record()])})
    assert store.apply("writer", {SHARD: (6, [record()])}) == {SHARD: False}
    assert store.apply("writer", {SHARD: (8, [record()])}) == {SHARD: True}
    assert read(store)["acme"].fields == {"i:n": 2}


def test_the_numbers_of_one_writer_are_not_those_of_another_or_of_another_shard(store: HotStore) -> None:
    assert store.apply("one", {SHARD: (1, [record()]), 3: (1, [record()])}) == {SHARD: True, 3: True}
    assert store.apply("two", {SHARD: (1, [record()])}) == {SHARD: True}
    assert read(store)["acme"].fields == {"i:n": 2}


def test_a_writer_is_remembered_for_days_and_not_for_ever(store: HotStore, valkey: redis.Redis) -> None:
    store.apply("writer", {SHARD: (1, [record()])})
    assert 86_400 < valkey.ttl(f"tests:{{{SHARD}}}:w:writer") <= 7 * 86_400


def test_a_writer_may_be_remembered_for_less(store: HotStore, valkey: redis.Redis) -> None:
    store.apply("writer", {SHARD: (1, [record()])}, 60)
    assert 0 < valkey.ttl(f"tests:{{{SHARD}}}:w:writer") <= 60


def test_the_first_value_under_a_name_is_remembered_for_a_time(store: HotStore, valkey: redis.Redis) -> None:
    assert [store.remember("name", value, 60) for value in ("one", "two")] == ["one", "one"]
    assert store.remember("other", "two", 60) == "two"
    assert [0 < valkey.ttl(key) <= 60 for key in valkey.scan_iter("*:k:*")] == [True, True]
    assert store.remember("name", "three", 60, instead_of="two") == "one"
    assert [store.remember("name", "three", 600, instead_of="one") for _ in range(2)] == ["three", "three"]
    assert 0 < valkey.ttl(next(iter(valkey.scan_iter("*:k:name")))) <= 60, "as long as was said first"
    assert (store.remembered("name"), store.remembered("nobody")) == ("three", None)


def test_sums_add_up_and_extremes_stay(store: HotStore) -> None:
    for number, observed in enumerate([500, 20, 9_000, 300], 1):
        store.apply("writer", {SHARD: (number, [record("acme", MINUTE, 2, observed)])})
    found = read(store)["acme"].fields
    assert (found["i:n"], found["rt:s"], found["rt:<"], found["rt:>"]) == (8, 9_820, 20, 9_000)


def test_members_are_kept_once(store: HotStore) -> None:
    for number, members in enumerate([(1, -5), (1, 2**63 - 1), (-(2**63),)], 1):
        store.apply("writer", {SHARD: (number, [record("acme", MINUTE, 1, None, *members)])})
    assert read(store)["acme"].members == {"cv": frozenset({1, -5, 2**63 - 1, -(2**63)})}


def test_a_minute_that_is_due_is_sealed_and_a_late_record_opens_another_batch(store: HotStore) -> None:
    store.apply("writer", {SHARD: (1, [record(count=3), record(minute=MINUTE + 1)])})
    (sealed,) = store.seal(SHARD, MINUTE + 1)
    store.apply("writer", {SHARD: (2, [record(count=4)])})
    assert sealed.minute == MINUTE
    assert read(store, sealed)["acme"].fields == {"i:n": 3}
    late = next(batch for batch in store.seal(SHARD, MINUTE + 1) if batch != sealed)
    assert read(store, late)["acme"].fields == {"i:n": 4}
    assert [batch.minute for batch in store.backlog(SHARD)] == [MINUTE, MINUTE, MINUTE + 1]


def test_what_is_sealed_is_found_again_until_it_is_dropped(store: HotStore) -> None:
    store.apply("writer", {SHARD: (1, [record(), record(minute=MINUTE - 3)])})
    first, second = store.seal(SHARD, MINUTE + 1)
    assert store.seal(SHARD, MINUTE + 1) == [first, second]
    store.drop(SHARD, first)
    assert store.seal(SHARD, MINUTE + 1) == [second]


def test_minutes_are_sealed_oldest_first(store: HotStore) -> None:
    minutes = [MINUTE + offset for offset in (5, 1, 9, 0, 3)]
    store.apply("writer", {SHARD: (1, [record(minute=minute) for minute in minutes])})
    assert [batch.minute for batch in store.seal(SHARD, MINUTE + 9)] == [MINUTE, MINUTE + 1, MINUTE + 3, MINUTE + 5]


def test_what_was_dropped_leaves_nothing_behind(store: HotStore, valkey: redis.Redis) -> None:
    store.apply("writer", {SHARD: (1, [record("acme", MINUTE, 1, 5, 7), record("bolt", MINUTE, 1, 5, 7), record(GLOBAL)])})
    (batch,) = store.seal(SHARD, MINUTE + 1)
    store.drop(SHARD, batch)
    store.drop(SHARD, batch)
    assert list(valkey.scan_iter("*")) == [f"tests:{{{SHARD}}}:w:writer"]


def test_every_key_of_a_shard_carries_its_hash_tag(store: HotStore, valkey: redis.Redis) -> None:
    store.apply("writer", {SHARD: (1, [record("acme", MINUTE, 1, 5, 7)])})
    store.seal(SHARD, MINUTE + 1)
    assert len({valkey.execute_command("CLUSTER", "KEYSLOT", key) for key in valkey.scan_iter("*")}) == 1


@pytest.mark.parametrize("tenant", [GLOBAL, "a:b", "{a}", "ü ñ 😀", "a\x1fb", "x" * 128, "-1", "*"])
def test_a_tenant_may_have_any_name(store: HotStore, tenant: str) -> None:
    store.apply("writer", {SHARD: (1, [record(tenant, MINUTE, 3, None, 9)])})
    assert read(store)[tenant] == Held(tenant, {"i:n": 3}, {"cv": frozenset({9})})


def test_many_tenants_are_read_in_pages_each_once(store: HotStore) -> None:
    store.apply("writer", {SHARD: (1, [record(f"tenant-{number}", MINUTE, number + 1) for number in range(1_203)])})
    held = [one for batch in store.backlog(SHARD) for one in store.read(SHARD, batch)]
    assert sorted(one.fields["i:n"] for one in held) == list(range(1, 1_204))


TENANTS = 1_203


def filled(store: HotStore) -> Batch:
    """A sealed batch of many tenants, more than are asked for ahead."""
    store.apply("writer", {SHARD: (1, [record(f"tenant-{number}", MINUTE, 1, None, 7) for number in range(TENANTS)])})
    (batch,) = store.seal(SHARD, MINUTE + 1)
    return batch


def test_a_connection_that_breaks_while_a_batch_is_read_costs_no_tenant(store: HotStore, valkey: redis.Redis) -> None:
    found = store.read(SHARD, filled(store))
    held = [next(found) for _ in range(300)]
    valkey.client_kill_filter(_type="normal", skipme=True)
    held += found
    assert len({one.tenant for one in held}) == len(held) == TENANTS
    assert {(one.fields["i:n"], one.members["cv"]) for one in held} == {(1, frozenset({7}))}


def test_who_stops_reading_leaves_no_answer_to_the_next(store: HotStore) -> None:
    batch = filled(store)
    for chunk in store.chunks(SHARD, batch):
        assert chunk.tenants
        break
    assert store.backlog(SHARD) == [batch]
    assert len(list(store.read(SHARD, batch))) == TENANTS


@pytest.mark.usefixtures("valkey")
def test_who_takes_long_over_what_was_read_gets_the_rest_on_the_same_connection(
    redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="apps.monitoring.ingest.server")
    often = f"{redis_url}{'&' if '?' in redis_url else '?'}health_check_interval=1"
    store = HotStore(server(often), "tests", shards=4)
    found = store.chunks(SHARD, filled(store))
    first = next(found)
    time.sleep(1.2)  # the library would ask for the health of the connection before it sends the next
    assert len(first.tenants) + sum(len(chunk.tenants) for chunk in found) == TENANTS
    assert not caplog.messages


def test_what_is_no_hash_is_an_error_and_no_empty_tenant(store: HotStore, valkey: redis.Redis) -> None:
    batch = filled(store)
    valkey.set(f"tests:{{{SHARD}}}:b:{batch.id}:f:tenant-700", "text")
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        list(store.chunks(SHARD, batch))
    assert store.backlog(SHARD) == [batch]


def test_a_server_that_forgot_the_scripts_learns_them_again(store: HotStore, valkey: redis.Redis) -> None:
    for number in (1, 2):
        valkey.script_flush()
        assert store.apply("writer", {SHARD: (number, [record()])}) == {SHARD: True}
        valkey.script_flush()
        (batch,) = store.seal(SHARD, MINUTE + 1)
        valkey.script_flush()
        store.drop(SHARD, batch)


def test_the_shard_of_a_tenant_never_changes() -> None:
    assert [shard_of(tenant, 8) for tenant in ("", "acme", "bolt", "ü")] == [0, 6, 7, 5]


def test_tenants_spread_over_the_shards() -> None:
    found = [shard_of(f"tenant-{number}", 8) for number in range(8_000)]
    assert all(800 < found.count(shard) < 1_200 for shard in range(8))
