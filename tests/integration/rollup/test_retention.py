"""What is too old is dropped, nothing else is, and nobody waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import recorder
from apps.monitoring.models import AlertRule, Compaction, EvaluationProgress, Judging, RetentionFloor, RollupBatch
from apps.monitoring.rollup import compaction, disk, floors, locks, partitions, periods, retention
from apps.monitoring.rollup.floors import StaleError
from apps.monitoring.rollup.retention import Retained
from tests.e2e.parts import environment_of_tests
from tests.integration.alerts.judged import rule
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, merged, roll_up, rows, send, some, value

pytestmark = pytest.mark.usefixtures("stores")

NOW = timezone.now().replace(hour=12, minute=0, second=0, microsecond=0)
LATER = NOW.timestamp() + 3_600


def ago(days: float) -> int:
    return to_minute(NOW - timedelta(days=days))


def retain(now: datetime = NOW) -> Retained:
    """Both steps: the floor is moved first, what lies below is dropped when every reader has ended."""
    first = retention.retain(now, HotStore.from_conf())
    then = retention.retain(now + timedelta(minutes=11), HotStore.from_conf())
    then.dropped += first.dropped
    then.series += first.series
    return then


def filled(*days: float, tenant: str = "acme") -> None:
    send(*[interaction(n, tenant, ago(day) + n) for day in days for n in range(6)])
    roll_up(LATER)
    compact()


def days_with_minutes() -> set[str]:
    return {partition.name[-8:] for partition in partitions.existing(Resolution.MINUTE)}


def day(days: float) -> str:
    return f"{NOW - timedelta(days=days):%Y%m%d}"


def counted(resolution: Resolution, days: float) -> int:
    start = resolution.floor(ago(days))
    found = [v for row, v in rows(resolution).items() if row[:2] == ("acme", "interactions") and row[3] == start]
    return sum(numbers[0] for numbers in found)


def test_minutes_that_are_too_old_are_dropped_and_their_hours_stay(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(1, 9, 12, 30)
    result = retain()
    assert {f"monitoring_metricsnapshot_1m_{day(old)}" for old in (12, 30)} <= set(result.dropped)
    assert days_with_minutes() >= {day(1), day(9)}
    assert days_with_minutes() & {day(12), day(30)} == set()
    assert [counted(Resolution.HOUR, old) for old in (1, 9, 12, 30)] == [6] * 4
    assert value("interactions", "acme") == 12


def test_when_minutes_were_judged_is_forgotten_with_them(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(9, 30)
    for old in (30, 9):
        Judging.objects.create(start=to_datetime(ago(old)), until=to_datetime(ago(old) + 1))
    retain()
    assert [to_minute(one.start) for one in Judging.objects.all()] == [ago(9)]


def test_hours_and_days_have_a_retention_of_their_own(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    settings.MONITORING_RETENTION_HOUR_DAYS = 60
    settings.MONITORING_RETENTION_DAY_DAYS = 800
    filled(5, 200, 750)
    settings.MONITORING_RETENTION_DAY_DAYS = 370
    retain()
    assert {row[3] for row in rows(Resolution.HOUR) if row[3] < ago(100)} == set()
    kept = {row[3] for row in rows(Resolution.DAY)}
    assert Resolution.DAY.floor(ago(200)) in kept
    assert Resolution.DAY.floor(ago(750)) not in kept or (NOW - timedelta(days=370)).year == (NOW - timedelta(days=750)).year
    assert not Compaction.objects.filter(resolution=60, ts__lt=NOW - timedelta(days=100)).exists()


def test_nothing_is_dropped_before_it_is_compacted(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    send(*[interaction(n, "acme", ago(30) + n) for n in range(6)])
    roll_up(LATER)
    result = retain()
    assert result.dropped == []
    assert "not compacted yet" in result.held_up[0]
    assert value("interactions", "acme") == 6
    compact()
    assert retain().held_up == []
    assert (value("interactions", "acme"), counted(Resolution.HOUR, 30)) == (0, 6)


def test_an_hour_that_became_stale_again_holds_its_minutes(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(30)
    send(interaction(100, "acme", ago(30) + 1))
    roll_up(LATER)
    with pytest.raises(StaleError):
        floors.move(Resolution.MINUTE, NOW - timedelta(days=10), NOW)
    compact()
    assert floors.move(Resolution.MINUTE, NOW - timedelta(days=10), NOW)
    assert counted(Resolution.HOUR, 30) == 7


def test_an_hour_that_is_not_made_yet_holds_the_hours_that_its_day_is_made_of(settings: Any) -> None:
    settings.MONITORING_RETENTION_HOUR_DAYS = 10
    filled(30)
    send(interaction(100, "acme", ago(30) + 1))
    roll_up(LATER)  # its minute is there, and neither the hour nor the day knows of it
    with pytest.raises(StaleError):
        floors.move(Resolution.HOUR, NOW - timedelta(days=10), NOW)
    compact()
    assert floors.move(Resolution.HOUR, NOW - timedelta(days=10), NOW)
    assert counted(Resolution.DAY, 30) == 7


@pytest.mark.parametrize("resolution", Resolution)
def test_a_day_that_is_yet_to_be_made_holds_every_floor(resolution: Resolution) -> None:
    """Whoever compacts it would find its partition dropped, or make it again below the floor."""
    send(interaction(1, "acme", ago(750)))
    roll_up(LATER)
    for hour in periods.due(Resolution.HOUR):
        compaction.compact(hour)
    assert {due.start for due in periods.due(Resolution.DAY)} == {Resolution.DAY.floor(ago(750))}
    with pytest.raises(StaleError):
        floors.move(resolution, NOW - timedelta(days=370), NOW)
    compact()
    assert floors.move(resolution, NOW - timedelta(days=370), NOW)


def test_a_floor_never_moves_back(settings: Any) -> None:
    assert floors.move(Resolution.MINUTE, NOW, NOW)
    assert not floors.move(Resolution.MINUTE, NOW - timedelta(days=1), NOW)
    assert floors.read() == {Resolution.MINUTE: to_minute(NOW)}


def test_a_floor_waits_for_a_batch_that_is_being_committed_and_holds_none_up() -> None:
    with psycopg.connect(environment_of_tests()["DATABASE_URL"]) as batch:
        batch.execute("SELECT pg_advisory_xact_lock_shared(%s, 0)", [floors._LOCK])
        assert not floors.move(Resolution.MINUTE, NOW, NOW)
        batch.rollback()
    assert floors.move(Resolution.MINUTE, NOW, NOW)


class TestMinutesThatAreKeptForALongTime:
    """A rule that looks far back keeps them, for longer than the settings keep hours."""

    @pytest.fixture(autouse=True)
    def _settings(self, stores: None, settings: Any) -> None:
        settings.MONITORING_RETENTION_MINUTE_DAYS = 7
        settings.MONITORING_RETENTION_HOUR_DAYS = settings.MONITORING_RETENTION_DAY_DAYS = 30
        rule(budget="month", statistic="sum", metric="cost")

    def test_coarser_rows_are_kept_as_long(self) -> None:
        minutes, hours, days = (retention.kept_days(one) for one in Resolution)
        assert 30 < minutes == hours == days

    def test_what_is_late_for_a_day_whose_hours_are_gone_takes_nothing_from_the_day(self) -> None:
        """The hours may have gone under other settings."""
        day = Resolution.DAY.floor(ago(20))
        send(*[interaction(n, "acme", day + 60 * n) for n in range(24)])
        roll_up(LATER)
        compact()
        floors.move(Resolution.HOUR, to_datetime(day) + timedelta(days=1), NOW)
        send(interaction(99, "acme", day + 9 * 60))
        for made in (lambda: roll_up(LATER), compact):
            made()
            total = sum(found[0] for row, found in rows(Resolution.DAY).items() if row[:2] == ("acme", "interactions"))
            assert total == 25


class TestRecordsOlderThanTheMinutes:
    """They are merged into the finest rows that are kept, and the whole is as if they had come in time."""

    def whole(self, *old: float) -> dict[Any, dict[str, Any]]:
        return merged(rows(Resolution.HOUR), lambda row: (*row[:4],) if any(abs(row[3] - ago(o)) < 120 for o in old) else None)

    @pytest.mark.parametrize("again", [1, 2])
    def test_into_the_hour(self, again: int, settings: Any) -> None:
        settings.MONITORING_RETENTION_MINUTE_DAYS = 10
        events = [(*one[:2], one[2] + (ago(30) - 29459520) * 60.0, *one[3:]) for one in some(120)]
        send(*events[::2])
        roll_up(LATER)
        compact()
        retain()
        for part in range(again):
            send(*events[1::2][part::again])
            roll_up(LATER + part)
            assert value("interactions", "") == 0
        compact()
        hours, days = rows(Resolution.HOUR), rows(Resolution.DAY)
        RetentionFloor.objects.all().delete()
        for model in (Compaction, RollupBatch):
            model.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE monitoring_metricsnapshot")
        partitions.forget()
        send(*events)
        roll_up(LATER)
        compact()
        assert (rows(Resolution.HOUR), rows(Resolution.DAY)) == (hours, days)

    def test_into_the_day_when_the_hours_are_gone_too(self, settings: Any) -> None:
        settings.MONITORING_RETENTION_MINUTE_DAYS = 10
        settings.MONITORING_RETENTION_HOUR_DAYS = 60
        filled(200)
        retain()
        send(interaction(77, "acme", ago(200)))
        roll_up(LATER)
        assert counted(Resolution.DAY, 200) == 7
        assert rows(Resolution.HOUR) == {}
        assert periods.stale_shards() == []

    def test_what_is_older_than_everything_is_refused_and_counted(self, settings: Any) -> None:
        settings.MONITORING_RETENTION_DAY_DAYS = 400
        before = recorder().flusher.counters["rows_older_than_retention"]
        send(interaction(1, "acme", ago(500)), interaction(2, "acme", ago(1)))
        roll_up(LATER)
        assert value("interactions", "acme") == 1
        assert recorder().flusher.counters["rows_older_than_retention"] - before > 5
        assert RollupBatch.objects.filter(rows=0).count() == 1
        assert {partition.start.year for partition in partitions.existing(Resolution.MINUTE)} & {2020} == set()
        assert roll_up(LATER) == 0


def test_minutes_that_no_rule_has_judged_yet_are_kept(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(30)
    EvaluationProgress.objects.create(next_minute=NOW - timedelta(days=30), ran_at=NOW)
    assert retain().dropped == []
    EvaluationProgress.objects.update(next_minute=NOW)
    assert retain().dropped != []


def test_minutes_are_kept_as_long_as_a_rule_looks_back(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(20)
    rule(window_minutes=25 * 1_440)
    assert retain().dropped == []
    AlertRule.objects.update(enabled=False)
    assert retain().dropped != []


def test_a_reader_of_what_is_to_be_dropped_is_waited_for_in_the_next_run_and_live_writes_go_on(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    filled(30)
    name = partitions.bounds(Resolution.MINUTE, to_datetime(ago(30)))[0]
    results: list[Retained] = []

    def drop() -> None:
        results.append(retain())
        connection.close()

    with psycopg.connect(environment_of_tests()["DATABASE_URL"]) as reader:
        reader.execute("SELECT count(*) FROM monitoring_metricsnapshot")
        thread = threading.Thread(target=drop)
        thread.start()
        send(interaction(1, "acme", ago(0.1)))
        roll_up(LATER)
        assert value("interactions", "acme", [ago(0.1)]) == 1
        thread.join()
        assert results[0].in_use == [name]
        reader.rollback()
    assert name in retain(NOW + timedelta(hours=1)).dropped
    assert counted(Resolution.HOUR, 30) == 6


def test_one_process_drops_at_a_time() -> None:
    results: list[Retained] = []

    def other() -> None:
        results.append(retention.retain(NOW, HotStore.from_conf()))
        connection.close()

    with locks.retention():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert results[0].busy


def test_proofs_are_kept_as_long_as_they_may_be_asked_for(settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 100
    filled(1, 50)
    RollupBatch.objects.update(committed_at=NOW - timedelta(days=40))
    store = HotStore.from_conf()
    assert retention.retain(NOW, store).proofs == 6
    assert set(RollupBatch.objects.values_list("minute", flat=True)) == {to_datetime(ago(1) + n) for n in range(6)}
    send(interaction(99, "acme", ago(50)))
    roll_up(LATER)
    assert value("interactions", "acme", [ago(50)]) == 2


def test_the_proof_of_a_batch_that_the_hot_store_still_holds_is_kept() -> None:
    send(interaction(1, "acme", ago(50)))

    class NotDropping(HotStore):
        def drop(self, *_: Any) -> None:
            """The worker died before it dropped the batch."""

    plain = HotStore.from_conf()
    store = NotDropping(plain._server, plain._prefix, 8)
    from apps.monitoring.rollup import shards

    shards.roll_up_all(LATER, store)
    RollupBatch.objects.update(committed_at=NOW - timedelta(days=40))
    assert retention.retain(NOW, plain).proofs == 0
    roll_up(LATER)
    assert value("interactions", "acme") == 1
    assert retention.retain(NOW, plain).proofs == 1


def test_the_disk_use_is_that_of_the_partitions_and_what_is_overdue_is_told(settings: Any) -> None:
    filled(1, 30)
    found = {usage.resolution: usage for usage in disk.usage(NOW)}
    minutes = found[Resolution.MINUTE]
    assert minutes.bytes == sum(partition.bytes for partition in partitions.existing(Resolution.MINUTE)) > 0
    assert minutes.kept_days == 35
    assert minutes.oldest == datetime.combine((NOW - timedelta(days=30)).date(), datetime.min.time(), UTC)
    assert minutes.forecast is not None
    assert day(30) not in {partition.name[-8:] for partition in minutes.overdue(NOW)}
    settings.MONITORING_RETENTION_MINUTE_DAYS = 10
    assert day(30) in {partition.name[-8:] for partition in disk.usage(NOW)[0].overdue(NOW)}


def test_a_partition_that_is_dropped_while_the_disk_use_is_looked_at_has_neither_rows_nor_bytes() -> None:
    filled(1, 30)
    (old,) = [one for one in partitions.existing(Resolution.MINUTE) if one.name.endswith(day(30))]
    with transaction.atomic(), connection.cursor() as cursor:
        # The catalogue is seen as it was when the first statement ran, which makes the moment as long as the test needs.
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute("SELECT FROM pg_class LIMIT 1")
        in_a_thread(lambda: partitions.drop(old))
        (minutes, *_) = disk.usage(NOW)
    assert {one.name: one.bytes for one in minutes.partitions}[old.name] == 0
    assert f"{minutes.oldest:%Y%m%d}" == day(1)


def in_a_thread(work: Callable[[], object]) -> None:
    """On a connection of its own, and to its end."""

    def target() -> None:
        work()
        connection.close()

    thread = threading.Thread(target=target)
    thread.start()
    thread.join()


def test_a_partition_is_made_while_writers_have_a_transaction_open_and_nobody_waits() -> None:
    send(interaction(1, "acme", ago(0.1)))
    roll_up(LATER)
    far = NOW - timedelta(days=400)
    url = environment_of_tests()["DATABASE_URL"]
    row = "INSERT INTO monitoring_metricsnapshot (ts, count, series_id, resolution, part) VALUES (%s, 1, %s, 1, 0)"
    with psycopg.connect(url) as writer, psycopg.connect(url) as other:
        writer.execute(row, [to_datetime(ago(0.1)), 1_000_001])  # a live write, not committed yet
        other.execute("SET lock_timeout = '2s'")
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
            try:
                for resolution in Resolution:
                    partitions.ensure(resolution, far)
                    other.execute(row, [to_datetime(ago(0.1)), 1_000_002 + resolution])  # whoever comes after does not queue
            finally:
                cursor.execute("RESET lock_timeout")
        writer.execute(row, [far, 1_000_003])
        writer.commit()
        other.commit()
    assert {partitions.bounds(resolution, far)[0] for resolution in Resolution} <= {
        partition.name for resolution in Resolution for partition in partitions.existing(resolution) if partition.attached
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM monitoring_metricsnapshot WHERE series_id > 1000000")
        assert cursor.fetchone() == (2 + len(Resolution),)
