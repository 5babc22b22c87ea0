from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.monitoring.core.event import Event
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest import flusher
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from tests.integration.ingest.hot import MINUTE, Writer, everything, fields, interaction, interactions
from tests.unit.ingest.made import event, events


def test_what_was_put_is_in_the_hot_store_once(store: HotStore) -> None:
    writer = Writer(store)
    assert writer.send(*[interaction(number) for number in range(10)])
    assert writer.flusher.flush()
    assert (interactions(store, "acme"), interactions(store)) == (10, 10)


@settings(
    deadline=None,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(given_events=st.lists(events(), min_size=1, max_size=40), data=st.data())
def test_the_hot_store_holds_the_same_however_events_are_split_over_writers_and_flushes(
    store: HotStore, valkey: redis.Redis, given_events: list[Event], data: st.DataObject
) -> None:
    valkey.flushall()
    assert Writer(store).send(*given_events)
    wanted = contents(store)
    valkey.flushall()
    writers = [Writer(store) for _ in range(3)]
    for one in data.draw(st.permutations(given_events)):
        writer = data.draw(st.sampled_from(writers))
        writer.put(one)
        if data.draw(st.booleans()):
            assert writer.flusher.flush()
    assert all(writer.flusher.flush() for writer in writers)
    assert contents(store) == wanted


def contents(store: HotStore) -> dict[tuple[int, int, str], tuple[object, object]]:
    return {
        (shard, batch.minute, held.tenant): (held.fields, held.members)
        for shard in range(store.shards)
        for batch in store.backlog(shard)
        for held in store.read(shard, batch)
    }


def test_all_tenants_together_are_the_sum_of_the_tenants(store: HotStore) -> None:
    tenants = [f"tenant-{number}" for number in range(20)]
    Writer(store).send(*[interaction(number, tenants[number % 20]) for number in range(200)])
    held = everything(store)
    summed = sum((fields(held, tenant) for tenant in tenants), start=fields([], ""))
    assert fields(held, GLOBAL) == summed
    assert summed["i:n"] == 200


def test_a_tenants_part_of_all_is_in_its_own_shard(store: HotStore) -> None:
    Writer(store).send(interaction(tenant="acme"))
    shard = shard_of("acme", store.shards)
    assert {s for s in range(store.shards) if store.backlog(s)} == {shard}


def test_label_values_of_all_tenants_together_have_a_cap_of_their_own(store: HotStore) -> None:
    writer = Writer(store)
    writer.flusher.together.caps.cap = 1  # ten for all tenants together
    writer.send(*[interaction(number, f"tenant-{number}", model_used=f"model-{number}") for number in range(25)])
    models = {name: times for name, times in fields(everything(store), GLOBAL).items() if name.startswith("m\x1f")}
    assert models["m\x1fother:n"] == 15
    assert len(models) == 11


def test_names_of_the_users_own_have_a_cap_for_all_tenants_together(store: HotStore) -> None:
    writer = Writer(store)
    writer.flusher.together.caps.cap = 1
    for _ in range(2):
        assert writer.send(*[event("user_metric", tenant=f"tenant-{n}", name=f"page_{n}", value=1) for n in range(25)])
    held = everything(store)
    assert fields(held, "tenant-24") == {'upage_24\x1f{"country":"de"}:n': 2}
    together = fields(held, GLOBAL)
    assert (together["uother:n"], of(together, "o")) == (30, {"o\x1fuser.other:n": 30})
    assert len([name for name in together if name.startswith("upage")]) == 10


def test_what_is_over_the_cap_of_all_tenants_together_counts_under_other_each_time_and_no_tenant_loses_it(
    store: HotStore,
) -> None:
    writer = Writer(store)
    writer.flusher.together.caps.cap = 1
    tenants = [f"tenant-{number}" for number in range(25)]
    for _ in range(2):  # those over the cap are told of again
        assert writer.send(*[interaction(n, tenants[n], model_used=f"model-{n}", estimated_cost=0.5) for n in range(25)])
    held = everything(store)
    own = sum((fields(held, tenant) for tenant in tenants), start=fields([], ""))
    together = fields(held, GLOBAL)
    assert of(own, "o") == {}
    for code in ("m", "c"):
        assert sum(of(own, code).values()) == sum(of(together, code).values())
        kept = {name.partition(":")[0] for name in of(together, code)}
        assert (len(kept), f"{code}\x1fother" in kept) == (11, True)
    # Fifteen models, twice: as one that is used, and as what it costs.
    assert of(together, "o") == {"o\x1fmodel_usage:n": 30, "o\x1fcost:n": 30}
    assert together["i:n"] == 50


def of(found: Counter[str], code: str) -> dict[str, int]:
    """The series of a metric that has a label."""
    return {name: value for name, value in found.items() if name.startswith(f"{code}\x1f")}


def test_a_large_flush_goes_in_several_calls(store: HotStore) -> None:
    writer = Writer(store)
    assert writer.send(
        *[interaction(number, "acme", MINUTE + number % 50, model_used=f"m{number % 90}") for number in range(9_000)]
    )
    assert interactions(store, "acme") == 9_000
    assert writer.flusher._shards[shard_of("acme", 4)].sequence > 1


@pytest.mark.parametrize("calls", range(1, 6))
def test_a_process_that_dies_between_two_calls_leaves_all_tenants_together_as_the_sum_of_the_tenants(
    store: HotStore, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher, "_CHUNK", 60)
    tenants = [f"tenant-{number}" for number in range(60)]

    class Dying(HotStore):
        left = calls

        def apply(self, *arguments: Any) -> dict[int, object]:
            if not self.left:
                raise SystemExit
            self.left -= 1
            return super().apply(*arguments)

    writer = Writer(Dying(store._server, store._prefix, store.shards))
    with pytest.raises(SystemExit):
        writer.send(*[interaction(number, tenants[number % 60], MINUTE + number % 2) for number in range(600)])
    held = everything(store)
    summed = sum((fields(held, tenant) for tenant in tenants), start=fields([], ""))
    assert 0 < summed["i:n"] < 600
    assert fields(held, GLOBAL) == summed


@pytest.mark.parametrize("lost", [1, 3])
def test_an_answer_that_never_came_does_not_count_twice(store: HotStore, lost: int) -> None:
    writer = Writer(store)
    writer.send(interaction(0))
    shard = writer.flusher._shards[shard_of("acme", 4)]
    writer.put(interaction(1))
    writer.flusher._collect()
    shard.in_flight = shard.waiting.take(1_000)
    shard.sequence += 1
    for _ in range(lost):
        # The server applied it, and the writer does not know.
        store.apply(writer.flusher._writer, {shard_of("acme", 4): (shard.sequence, shard.in_flight)})
    assert writer.send(interaction(2))
    assert interactions(store, "acme") == 3
    assert writer.flusher.counters["flushes_repeated"] == 1


def test_what_the_hot_store_refuses_for_good_is_counted_and_stops_nothing(store: HotStore, valkey: redis.Redis) -> None:
    shard = shard_of("acme", 4)
    valkey.set(f"tests:{{{shard}}}:open", "not a hash")
    writer = Writer(store)
    assert writer.send(interaction(0))
    assert writer.flusher.counters["flushes_refused"] == 1
    valkey.delete(f"tests:{{{shard}}}:open")
    assert writer.send(interaction(1))
    assert interactions(store, "acme") == 1


def test_what_befell_the_monitoring_is_a_metric_of_its_own(store: HotStore) -> None:
    writer = Writer(store)
    writer.flusher.counters["flushes_repeated"] += 4
    writer.send(interaction(0))
    writer.send(interaction(1))
    assert fields(everything(store), GLOBAL)["me\x1fflushes_repeated:n"] == 4


def test_values_that_overflow_the_server_spoil_neither_other_tenants_nor_other_series(store: HotStore) -> None:
    huge = [event("user_metric", tenant="acme", value=10**15) for _ in range(10_000)]
    writer = Writer(store)
    assert writer.send(*huge, interaction(0, "acme"), *[interaction(n, f"tenant-{n}") for n in range(40)])
    assert interactions(store) == 41
    assert all(interactions(store, tenant) == 1 for tenant in ("acme", *[f"tenant-{n}" for n in range(40)]))
