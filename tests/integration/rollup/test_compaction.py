"""Hours out of minutes and days out of hours, on a real Postgres."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
import redis
from django.db import connection, transaction

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import shard_of
from apps.monitoring.ingest.recorder import recorder
from apps.monitoring.models import Compaction, ShardProgress
from apps.monitoring.rollup import compaction, invariants, locks, partitions, periods, shards
from apps.monitoring.rollup.periods import Period
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import TENANTS, Row, clear, compact, merged, roll_up, rows, send
from tests.unit.ingest.made import KINDS, event

pytestmark = pytest.mark.usefixtures("stores")

HOURS = 3
LATER = (MINUTE + 2_000) * 60.0
"""When the day of the tests is over."""
TODAY = (MINUTE + HOURS * 60 + 10) * 60.0
"""When its first hours are."""


def spread(count: int, seed: int = 1, hours: int = HOURS) -> list[Any]:
    """Events of every kind over some hours, with conversations that go on from one hour to the next."""
    generator = random.Random(seed)
    made: list[Any] = []
    for number in range(count):
        tenant, minute = generator.choice(TENANTS), MINUTE + 10 * generator.randrange(hours * 6)
        made.append(
            interaction(
                generator.randrange(60),
                tenant,
                minute,
                processing_time_ms=generator.lognormvariate(6, 2),
                model_used=generator.choice(["gpt-4o", "mini"]),
                handoff_triggered=generator.random() < 0.2,
                estimated_cost=generator.choice([None, 0.01, 0.1]),
            )
        )
        if number % 4 == 0:
            made.append(event(generator.choice(list(KINDS)), minute * 60.0, tenant))
    return made


def by_period(resolution: Resolution, found: dict[Row, tuple[Any, ...]]) -> dict[Any, dict[str, Any]]:
    return merged(found, lambda row: (*row[:3], resolution.floor(row[3]), row[4]))


def test_an_hour_is_the_merge_of_its_minutes_and_a_day_that_of_its_hours() -> None:
    send(*spread(600))
    roll_up(LATER)
    minutes = rows()
    assert compact() > HOURS * 8
    for resolution in (Resolution.HOUR, Resolution.DAY):
        found = rows(resolution)
        assert by_period(resolution, found) == by_period(resolution, minutes)
        assert len(found) == len({(*row[:3], resolution.floor(row[3]), row[4]) for row in minutes})
    assert rows() == minutes


def test_only_what_is_over_is_compacted() -> None:
    send(*spread(200), *[interaction(n, minute=MINUTE + HOURS * 60) for n in range(5)])
    roll_up(TODAY)
    compact()
    assert {row[3] for row in rows(Resolution.HOUR)} == {MINUTE + 60 * hour for hour in range(HOURS)}
    assert rows(Resolution.DAY) == {}
    assert compact() == 0


def test_a_shard_whose_watermark_is_behind_is_not_compacted() -> None:
    send(*spread(200))
    roll_up(LATER)
    shards.retreat(MINUTE + 90)
    compact()
    assert {row[3] for row in rows(Resolution.HOUR)} == {MINUTE}


@pytest.mark.parametrize("times", [1, 3])
def test_late_records_make_the_hour_and_its_day_anew(times: int, valkey: redis.Redis) -> None:
    events = spread(400)
    send(*events[::2])
    roll_up(LATER)
    compact()
    early = rows(Resolution.HOUR), rows(Resolution.DAY)
    for part in range(times):
        send(*events[1::2][part::times])
        roll_up(LATER + part)
        assert periods.stale_count(Resolution.HOUR) > 0
        compact()
    late = rows(), rows(Resolution.HOUR), rows(Resolution.DAY)
    assert late[1:] != early
    clear(valkey)
    send(*events)
    roll_up(LATER)
    compact()
    assert (rows(), rows(Resolution.HOUR), rows(Resolution.DAY)) == late


def test_a_batch_that_is_committed_while_its_hour_is_compacted_leaves_it_stale(valkey: redis.Redis) -> None:
    events = spread(300, hours=1)
    send(*events[::2])
    roll_up(LATER)
    shard = shard_of(TENANTS[0], 8)
    period = Period(Resolution.HOUR, shard, MINUTE)
    send(*events[1::2])
    meanwhile = threading.Thread(target=lambda: (roll_up(LATER), connection.close()))
    partitions.ensure(Resolution.HOUR, to_datetime(MINUTE))
    with transaction.atomic():
        compaction.compact(period)  # has read the minutes, and is not committed
        meanwhile.start()
        meanwhile.join(0.5)  # the batch may have to wait for the end of this transaction, not longer
    meanwhile.join()
    assert Compaction.objects.filter(resolution=60, shard=shard, changes__gt=1).exists()
    assert period in periods.due(Resolution.HOUR, shard)
    compact()
    whole = rows(Resolution.HOUR)
    clear(valkey)
    send(*events)
    roll_up(LATER)
    compact()
    assert rows(Resolution.HOUR) == whole


def test_two_at_once_compact_everything_once() -> None:
    send(*spread(500))
    roll_up(LATER)
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(3):
                compact()
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    compact()
    assert errors == []
    for resolution in (Resolution.HOUR, Resolution.DAY):
        assert by_period(resolution, rows(resolution)) == by_period(resolution, rows())


def test_a_shard_is_compacted_by_one_process_at_a_time() -> None:
    send(*spread(100))
    roll_up(LATER)
    (shard, *_) = periods.stale_shards()
    inside: list[bool] = []

    def other() -> None:
        inside.append(compaction.compact_shard(shard, 60.0).busy)
        connection.close()

    with locks.compaction(shard) as mine:
        assert mine
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert inside == [True]


def test_a_roll_up_goes_on_beside_a_compaction() -> None:
    send(*spread(100))
    roll_up(LATER)
    send(interaction(minute=MINUTE + 1_990))
    answers: list[int] = []

    def other() -> None:
        answers.append(roll_up(LATER))
        connection.close()

    (shard, *_) = periods.stale_shards()
    for resolution in Resolution:
        partitions.ensure(resolution, to_datetime(MINUTE + 1_990))  # not in the transaction below
        partitions.ensure(resolution, to_datetime(MINUTE))
    with locks.compaction(shard), transaction.atomic():
        compaction.compact(periods.due(Resolution.HOUR, shard)[0])
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert answers == [1]


def test_a_run_that_has_no_time_left_leaves_the_rest_to_the_next() -> None:
    send(*[interaction(n, minute=MINUTE + n) for n in range(0, 600, 60)])
    roll_up(LATER)
    shard = shard_of("acme", 8)
    first = compaction.compact_shard(shard, -1.0)
    assert (first.periods, first.left) == (0, 10)
    assert compaction.compact_shard(shard, 60.0).periods == 11


def test_a_distinct_count_is_that_of_the_union() -> None:
    send(*[interaction(n, "acme", MINUTE + minute) for n in range(50) for minute in (n % 60, (n + 7) % 60)])
    roll_up(LATER)
    compact()
    (counted,) = [found for row, found in rows(Resolution.HOUR).items() if row[:2] == ("acme", "conversations")]
    assert counted[0] == 50


def test_what_a_shard_left_that_is_not_in_the_settings_any_more_is_compacted(settings: Any) -> None:
    send(*spread(200))
    roll_up(LATER)
    ShardProgress.objects.filter(shard__gte=4).update(complete_until=to_datetime(MINUTE))
    settings.MONITORING_SHARDS = 4
    compact()
    assert by_period(Resolution.HOUR, rows(Resolution.HOUR)) == by_period(Resolution.HOUR, rows())


class TestInvariants:
    def test_what_was_compacted_is_found_right(self) -> None:
        send(*spread(200))
        roll_up(LATER)
        compact()
        assert invariants.check_sample(100) == 0

    @pytest.mark.parametrize(
        "damage",
        [
            "UPDATE monitoring_metricsnapshot SET count = count + 1 WHERE resolution = {} AND data IS NULL",
            "DELETE FROM monitoring_metricsnapshot WHERE resolution = {} AND data IS NOT NULL",
            "UPDATE monitoring_metricsnapshot SET series_id = series_id + 100000 WHERE resolution = {} AND data IS NULL",
        ],
    )
    @pytest.mark.parametrize("resolution", [Resolution.HOUR, Resolution.DAY])
    def test_what_is_not_the_merge_is_counted_and_made_anew(self, resolution: Resolution, damage: str) -> None:
        send(*spread(100))
        roll_up(LATER)
        compact()
        whole = rows(resolution)
        with connection.cursor() as cursor:
            cursor.execute(damage.format(int(resolution)))
        assert invariants.check_sample(100) > 0
        assert recorder().flusher.counters[invariants.MISMATCHES] > 0
        assert compact() > 0
        assert rows(resolution) == whole
        assert invariants.check_sample(100) == 0

    def test_a_period_that_is_stale_by_now_is_left_alone(self) -> None:
        send(*spread(100))
        roll_up(LATER)
        compact()
        send(*spread(100, seed=2))
        roll_up(LATER)
        assert invariants.check(Period(Resolution.HOUR, shard_of(TENANTS[0], 8), MINUTE))
