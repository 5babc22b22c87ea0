"""Sealed batches into the snapshots, on real servers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from django.db import connection
from django.utils import timezone

from apps.monitoring.catalogue import Kind
from apps.monitoring.core import distinct
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.models import RollupBatch, Series
from apps.monitoring.query.source import watermark
from apps.monitoring.rollup import batches, maintenance, partitions, retention
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import AFTER, Row, clear, merged, roll_up, rows, send, some, value
from tests.unit.ingest.made import event

pytestmark = pytest.mark.usefixtures("stores")


def test_what_was_recorded_is_in_the_snapshots() -> None:
    send(*[interaction(number, "acme") for number in range(20)], interaction(0, "acme", MINUTE + 1))
    assert roll_up() == 2
    assert value("interactions", "acme", [MINUTE]) == 20
    assert value("interactions", "acme", [MINUTE + 1]) == 1
    assert value("conversations", "acme") == 20
    shard = shard_of("acme", 8)
    count, total, low, high, _ = rows()["acme", "response_time", "", MINUTE, shard]
    assert (count, total, low, high) == (20, sum(range(1_000, 1_020)) * 1_000, 1_000_000, 1_019_000)


def test_nothing_is_left_in_the_hot_store(valkey: redis.Redis) -> None:
    send(*some(60))
    roll_up()
    assert [key for key in valkey.scan_iter("*") if ":w:" not in key] == []


def test_all_tenants_together_are_the_sum_of_the_tenants() -> None:
    send(*some(400))
    roll_up()
    found = rows()
    together = merged(found, lambda row: row[1:4] if row[0] == GLOBAL else None)
    tenants = merged(found, lambda row: row[1:4] if row[0] != GLOBAL else None)
    assert together == tenants
    assert len(together) > 30


def test_a_batch_that_is_committed_twice_counts_once() -> None:
    send(interaction(tenant="acme"))
    store, shard = HotStore.from_conf(), shard_of("acme", 8)
    (batch,) = store.seal(shard, MINUTE + 1)
    held = list(store.chunks(shard, batch))
    assert batches.commit(shard, batch, held)
    before = rows()
    assert not batches.commit(shard, batch, held)
    assert rows() == before
    assert roll_up() == 0
    assert rows() == before
    assert value("interactions", "acme") == 1


def test_a_server_that_lost_everything_does_not_use_a_batch_id_again(valkey: redis.Redis) -> None:
    send(interaction(tenant="acme"))
    roll_up()
    valkey.flushall()
    send(interaction(tenant="acme"))
    assert roll_up() == 1
    assert value("interactions", "acme") == 2


@pytest.mark.parametrize("parts", [2, 5])
def test_late_records_are_merged_into_the_minute_and_it_is_as_if_they_had_been_in_time(parts: int, valkey: redis.Redis) -> None:
    everything = some(300)
    for part in range(parts):
        send(*everything[part::parts])
        roll_up(AFTER + part)
    late = rows()
    assert RollupBatch.objects.filter(late=True).exists()
    clear(valkey)
    send(*everything)
    roll_up()
    assert late == rows()


def test_a_minute_that_is_sealed_twice_before_one_roll_up_is_whole(valkey: redis.Redis) -> None:
    everything = some(300)
    store = HotStore.from_conf()
    send(*everything[:150])
    for shard in range(8):
        store.seal(shard, MINUTE + 10)
    send(*everything[150:])
    roll_up()
    twice = rows()
    clear(valkey)
    send(*everything)
    roll_up()
    assert twice == rows()


def test_the_extremes_of_a_late_batch_are_kept_whichever_came_first() -> None:
    for times in ([500.0], [5.0, 90_000.0], [700.0]):
        send(*[interaction(1, "acme", processing_time_ms=time) for time in times])
        roll_up()
    count, _, low, high, _ = rows()["acme", "response_time", "", MINUTE, shard_of("acme", 8)]
    assert (count, low, high) == (4, 5_000, 90_000_000)


def test_late_conversations_join_a_sketch_that_is_not_exact_any_more() -> None:
    parts = [range(5_000), range(3_000, 9_000), range(8_990, 9_010), range(10)]  # dense, dense late, sparse late
    for part in parts:
        send(*[interaction(number, "acme") for number in part])
        roll_up()
    assert RollupBatch.objects.count() == len(parts)
    whole = distinct.encode(distinct.hash_of(f"acme\x00c-{number}") for number in range(9_010))
    for tenant in ("acme", ""):
        (stored,) = (row for key, row in rows().items() if key[:2] == (tenant, "conversations"))
        assert stored[4] == whole
        assert stored[0] == distinct.count(whole) == pytest.approx(9_010, rel=0.02)
    assert value("interactions", "acme") == sum(map(len, parts))


def test_series_that_only_a_late_batch_has_are_added() -> None:
    send(interaction(0, "acme", model_used="a"))
    roll_up()
    send(interaction(0, "acme", model_used="b"))
    roll_up()
    models = {row[2] for row in rows() if row[:2] == ("acme", "model_usage")}
    assert models == {'{"model":"a"}', '{"model":"b"}'}


def test_a_late_record_of_a_minute_whose_proof_was_retired_too_early_counts() -> None:
    """By a clock that was wrong once."""
    now = timezone.now().replace(second=0, microsecond=0)
    minute = to_minute(now) - 10
    send(interaction(0, "acme", minute))
    roll_up(now.timestamp())
    assert retention._retire_proofs(now + timedelta(days=60), HotStore.from_conf()) == RollupBatch.objects.count() + 1
    send(interaction(1, "acme", minute), interaction(2, "acme", minute + 1))
    roll_up(now.timestamp())
    assert HotStore.from_conf().backlogs(range(8)) == []
    assert value("interactions", "acme") == 3


def test_a_minute_of_another_day_finds_its_partition() -> None:
    for days in (0, 1, 400):
        send(interaction(0, "acme", MINUTE - days * 1_440))
    roll_up()
    assert len({row[3] for row in rows()}) == 3


def test_maintenance_makes_the_partitions_of_today_and_tomorrow() -> None:
    now = to_datetime(MINUTE) + timedelta(days=7)
    maintenance.maintain(now, HotStore.from_conf())
    with connection.cursor() as cursor:
        for day in (now, now + timedelta(days=1)):
            for resolution in Resolution:
                cursor.execute("SELECT to_regclass(%s)", [partitions.bounds(resolution, day)[0]])
                assert cursor.fetchone() != (None,)


@pytest.mark.parametrize("resolution", list(Resolution))
def test_partitions_are_made_at_every_end_of_month_and_year(resolution: Resolution) -> None:
    for day in ("2026-01-31", "2026-02-28", "2028-02-29", "2026-12-31", "2027-01-01"):
        moment = datetime.fromisoformat(f"{day}T23:59:59").replace(tzinfo=UTC)
        _name, start, end = partitions.bounds(resolution, moment)
        assert start <= moment < end
        assert partitions.bounds(resolution, end)[1] == end
        partitions.ensure(resolution, moment)


def test_a_metric_of_a_newer_version_is_left_out_and_stops_nothing(valkey: redis.Redis) -> None:
    send(interaction(tenant="acme"))
    shard = shard_of("acme", 8)
    (batch,) = HotStore.from_conf().backlog(shard)
    valkey.hset(f"agentmon:{{{shard}}}:b:{batch.id}:f:acme", "zz\x1fnew:n", 5)
    roll_up()
    assert value("interactions", "acme") == 1
    assert {row[1] for row in rows() if row[0] == "acme"} & {"zz"} == set()


@pytest.mark.parametrize(
    "events",
    [
        [event("user_metric", tenant="😀" * 128, labels={f"label_{n}": "😀" * 4 for n in range(60)}) for _ in range(2)],
        [
            event(
                "user_metric",
                tenant="😀" * 128,
                name="n" * 100,
                labels={chr(0x4E00 + n): chr(0x9000 + n) * 3 for n in range(80)},
            )
        ],
        [event("user_metric", value=10**15) for _ in range(12_000)],
        [interaction(n, "x\x01\x7f", model_used="".join(map(chr, range(1, 60))), intent='"\\{}') for n in range(3)],
        [event("llm_api_call", provider="😀" * 64) for _ in range(2)],
    ],
    ids=["many labels", "long names", "beyond 64 bits", "odd characters", "wide labels"],
)
def test_whatever_was_accepted_can_be_rolled_up(events: list[Any]) -> None:
    for _ in range(2):
        send(*events, interaction(0, "acme"))
        roll_up()
    assert value("interactions", "acme") == 2
    assert watermark(8) == MINUTE + 29


def test_a_series_is_stored_once_whatever_comes_when() -> None:
    for offset in range(3):
        send(*some(50, seed=offset))
        batches.forget()
        roll_up(AFTER + offset)
    found = list(Series.objects.values_list("tenant", "metric", "labels"))
    assert len(found) == len(set(found))


def test_the_rows_have_no_number_that_does_not_belong_to_their_kind() -> None:
    send(*some(100))
    roll_up()

    def given(row: Row, numbers: tuple[Any, ...]) -> bool:
        histogram = row[1] in {"response_time", "confidence", "llm_call_duration", "context_build_duration"}
        return (numbers[2] is not None) == (row[1] in {"user.basket", "knowledge_search_duration"} or histogram)

    assert [row for row, numbers in rows().items() if not given(row, numbers)] == []


def test_a_counter_and_a_sample_of_one_name_are_one_series_that_can_be_rolled_up() -> None:
    told = {"name": "size", "labels": {}}
    send(
        event("user_metric", MINUTE * 60.0, **told, kind=Kind.COUNTER, value=3),
        event("user_metric", MINUTE * 60.0, **told, kind=Kind.HISTOGRAM, value=2.0),
    )
    roll_up()
    assert value("user.size", "acme") == 4
