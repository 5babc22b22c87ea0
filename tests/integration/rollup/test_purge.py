"""Series go after the last of their rows, and whatever goes on meanwhile no row is without its series."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import Batch, Chunk, HotStore, shard_of
from apps.monitoring.ingest.recorder import recorder
from apps.monitoring.models import Series, SeriesPurge
from apps.monitoring.models.snapshot import LEASE_DAYS
from apps.monitoring.query.summary import summary
from apps.monitoring.rollup import (
    batches,
    compaction,
    disk,
    floors,
    invariants,
    locks,
    partitions,
    periods,
    purge,
    retention,
    shards,
)
from apps.monitoring.rollup.floors import StaleError
from apps.monitoring.rollup.periods import Period
from apps.monitoring.rollup.retention import Retained
from tests.e2e.parts import ROOT, environment_of_tests, eventually
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, nameless, roll_up, rows, send
from tests.integration.rollup.test_retention import LATER, NOW, ago, filled, retain

pytestmark = pytest.mark.usefixtures("stores")

OLD = 900
"""Days ago: a lease that was taken then has ended before the year that is kept below."""
RECENT = (1, 40, 300)
"""Days ago: where rows of a minute, an hour and a day are kept below."""


def keep(settings: Any, minutes: int = 10, hours: int = 60, days: int = 370) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = minutes
    settings.MONITORING_RETENTION_HOUR_DAYS = hours
    settings.MONITORING_RETENTION_DAY_DAYS = days


def tenants() -> set[str]:
    return set(Series.objects.values_list("tenant", flat=True))


def numbers(tenant: str) -> set[int]:
    return set(Series.objects.filter(tenant=tenant).values_list("id", flat=True))


def counted(tenant: str, days: float) -> int:
    """The interactions of a day, by the rows of a day."""
    start = Resolution.DAY.floor(ago(days))
    return sum(
        found[0] for row, found in rows(Resolution.DAY).items() if row[:2] == (tenant, "interactions") and row[3] == start
    )


def aside(work: Callable[[], object]) -> threading.Thread:
    """Begin something on a connection of its own."""

    def run() -> None:
        try:
            work()
        finally:
            connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def session() -> psycopg.Connection[tuple[Any, ...]]:
    return psycopg.connect(environment_of_tests()["DATABASE_URL"])


def left_over(settings: Any, tenant: str = "acme") -> None:
    """Series of a tenant that have no row any more and are not purged yet; this process remembers their numbers."""
    filled(OLD, tenant=tenant)
    keep(settings)
    with session() as other:
        other.execute("SELECT FROM monitoring_series FOR UPDATE")
        assert retain().series == 0
    assert numbers(tenant)
    assert rows(Resolution.DAY) == {}


class Meanwhile(HotStore):
    """Does something before a batch is looked at, and when its series are looked up and its rows on their way."""

    before: Callable[[], object] = int
    after: Callable[[], object] = int

    def chunks(self, shard: int, batch: Batch) -> Iterator[Chunk]:
        self.before()
        yield from super().chunks(shard, batch)
        self.after()


def meanwhile() -> Meanwhile:
    plain = HotStore.from_conf()
    return Meanwhile(plain._server, plain._prefix, 8)


class TestWhichSeriesGo:
    def test_those_go_whose_rows_have_all_gone_and_no_others(self, settings: Any) -> None:
        filled(OLD, tenant="gone")
        filled(OLD, 1, tenant="stays")
        assert retain().series == 0
        keep(settings)
        before, gone = recorder().flusher.counters["series_purged"], numbers("gone")
        assert retain().series == len(gone) > 10
        assert tenants() == {"stays", GLOBAL}
        assert nameless() == 0
        assert recorder().flusher.counters["series_purged"] - before == len(gone)
        assert SeriesPurge.objects.get().purged == len(gone)
        assert retain(NOW + timedelta(hours=1)).series == 0

    @pytest.mark.parametrize("kept", [{"minutes": 1_000}, {"hours": 1_000}, {"days": 1_000}], ids=["minute", "hour", "day"])
    def test_none_goes_that_has_a_row_of_any_resolution(self, kept: dict[str, int], settings: Any) -> None:
        filled(OLD)
        keep(settings, **kept)
        retained = retain()
        assert [bool(rows(resolution)) for resolution in Resolution] == [f"{one.name.lower()}s" in kept for one in Resolution]
        assert retained.series == 0
        assert nameless() == 0
        keep(settings)
        assert retain(NOW + timedelta(hours=1)).series > 0
        assert tenants() == set()

    def test_none_goes_whose_rows_could_not_be_dropped_yet(self, settings: Any) -> None:
        filled(OLD)
        keep(settings)
        with session() as reader:
            reader.execute("SELECT count(*) FROM monitoring_metricsnapshot")
            retained = retain()
            assert retained.in_use
            assert retained.series == 0
        assert retain(NOW + timedelta(hours=1)).series > 0
        assert tenants() == set()

    def test_one_whose_row_is_of_the_first_day_that_is_kept_stays(self, settings: Any) -> None:
        filled(OLD, tenant="before")
        filled(OLD, tenant="after")
        keep(settings)
        first = partitions.bounds(Resolution.DAY, NOW - timedelta(days=370))[1].date()
        Series.objects.filter(tenant="before").update(leased_until=first - timedelta(days=1))
        Series.objects.exclude(tenant="before").update(leased_until=first)
        retain()
        assert purge.first_day() == first
        assert tenants() == {"after", GLOBAL}

    def test_the_lowest_floor_counts_and_the_oldest_partition(self) -> None:
        year = {
            one: partitions.bounds(Resolution.DAY, NOW - timedelta(days=365 * ago))[1] for ago, one in enumerate(Resolution, 1)
        }
        retain()
        assert purge.first_day() == partitions.bounds(Resolution.DAY, NOW - timedelta(days=3_650))[1].date()
        for resolution in (Resolution.HOUR, Resolution.MINUTE, Resolution.DAY):
            floors.move(resolution, year[resolution], NOW)
            lowest = min(map(to_datetime, floors.read().values()))
            assert purge.first_day() == lowest.date()
        assert lowest == year[Resolution.DAY]
        for resolution in Resolution:
            partitions.ensure(resolution, year[Resolution.DAY] - timedelta(days=40))
            assert purge.first_day() == partitions.existing(resolution)[0].start.date() < lowest.date()
            assert partitions.drop(partitions.existing(resolution)[0])

    def test_whoever_inserts_a_series_and_says_nothing_has_a_lease(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO monitoring_series (tenant, metric, labels) SELECT 't' || n, '', '' FROM generate_series(1, 99) n"
            )
        leases = {(one - timezone.now().date()).days for one in Series.objects.values_list("leased_until", flat=True)}
        assert len(leases) > 10
        assert leases <= set(range(LEASE_DAYS - 1, 2 * LEASE_DAYS + 2))

    def test_what_is_refused_makes_no_series(self, settings: Any) -> None:
        keep(settings)
        send(interaction(1, "acme", ago(OLD)))
        assert roll_up(LATER) == 1
        assert tenants() == set()

    def test_a_database_that_was_never_cleaned_purges_nothing(self) -> None:
        filled(OLD)
        assert purge.first_day() == date(1970, 1, 1)
        assert purge.purge() == 0


class TestAWorkerThatRemembersTheNumber:
    @pytest.mark.parametrize("days", RECENT)
    def test_gives_a_purged_series_another_number(self, days: int, settings: Any) -> None:
        filled(OLD)
        old = numbers("acme") | numbers(GLOBAL)
        keep(settings)
        assert retain().series == len(old)
        send(*[interaction(n, "acme", ago(days) + n) for n in range(3)])
        roll_up(LATER)
        compact()
        new = numbers("acme") | numbers(GLOBAL)
        assert min(new) > max(old)
        assert counted("acme", days) == counted(GLOBAL, days) == 3
        assert nameless() == 0
        found = summary("acme", to_datetime(Resolution.DAY.floor(ago(days))), to_datetime(Resolution.DAY.ceil(ago(days))))
        assert (found["interactions"]["total"], found["token_usage"]["conversation_count"]) == (3, 3)

    def test_takes_the_number_that_another_worker_made_meanwhile(self, settings: Any) -> None:
        filled(OLD)
        keep(settings)
        retain()
        own = batches._series_ids
        batches._series_ids = type(own)()  # the other worker's
        try:
            send(interaction(0, "acme", ago(1)))
            roll_up(LATER)
        finally:
            batches._series_ids = own
        made = numbers("acme")
        send(*[interaction(n, "acme", ago(day) + n) for n in range(1, 3) for day in (1, 300)])
        roll_up(LATER)
        compact()
        assert numbers("acme") == made
        assert (counted("acme", 1), counted("acme", 300)) == (3, 2)
        assert nameless() == 0

    def test_keeps_the_number_of_one_that_is_still_there_and_renews_its_lease(self, settings: Any) -> None:
        left_over(settings)
        old = numbers("acme")
        send(*[interaction(n, "acme", ago(300) + n) for n in range(3)])
        roll_up(LATER)
        assert numbers("acme") == old
        assert purge.purge() == 0
        assert counted("acme", 300) == 3

    def test_needs_no_look_at_the_series_while_the_lease_lasts(self) -> None:
        send(interaction(0, "acme", ago(LEASE_DAYS + 2)))
        roll_up(LATER)
        begin = to_datetime(ago(LEASE_DAYS + 2)).date()
        leases = [(until - begin).days for until in Series.objects.values_list("leased_until", flat=True)]
        assert set(leases) <= set(range(LEASE_DAYS, 2 * LEASE_DAYS + 1))
        assert len(set(leases)) > 1
        for days in (LEASE_DAYS + 1, 10, 2):
            send(interaction(days, "acme", ago(days)))
        with session() as other:
            other.execute("LOCK monitoring_series IN ACCESS EXCLUSIVE MODE")
            rolling = aside(lambda: roll_up(LATER))
            rolling.join(20)
            assert not rolling.is_alive()
        assert nameless() == 0

    def test_renews_a_lease_when_it_has_ended_and_then_for_weeks(self) -> None:
        def sent(days: int) -> dict[int, date]:
            send(interaction(days, "acme", ago(days)))
            roll_up(LATER)
            return dict(Series.objects.values_list("id", "leased_until"))

        first = sent(200)
        assert sent(200 - LEASE_DAYS) == sent(700) == first
        ended = 200 - 2 * LEASE_DAYS - 1
        renewed = sent(ended)
        assert renewed.keys() == first.keys()
        assert min(renewed.values()) >= to_datetime(ago(ended - LEASE_DAYS)).date()
        assert sent(ended - LEASE_DAYS) == renewed
        assert nameless() == 0


class TestAPurgeAndARollUpAtOnce:
    def test_the_roll_up_waits_for_a_purge_that_has_its_series_and_makes_them_anew(self, settings: Any) -> None:
        left_over(settings)
        old = numbers("acme")
        send(interaction(1, "acme", ago(1)))
        with session() as purging:
            assert purging.execute(purge._PURGE, [0, purge.first_day(), 1_000]).fetchone() is not None
            rolling = aside(lambda: roll_up(LATER))
            eventually("the roll-up waits for the purge", waiting, 20)
            purging.commit()
        rolling.join()
        compact()
        assert numbers("acme")
        assert numbers("acme") & old == set()
        assert counted("acme", 1) == counted(GLOBAL, 1) == 1
        assert nameless() == 0

    def test_the_roll_up_keeps_its_series_when_the_purge_is_broken_off(self, settings: Any) -> None:
        left_over(settings)
        old = numbers("acme")
        send(interaction(1, "acme", ago(1)))
        with session() as purging:
            purging.execute(purge._PURGE, [0, purge.first_day(), 1_000])
            rolling = aside(lambda: roll_up(LATER))
            eventually("the roll-up waits for the purge", waiting, 20)
            purging.rollback()
        rolling.join()
        compact()
        assert numbers("acme") <= old
        assert counted("acme", 1) == 1
        assert nameless() == 0

    @pytest.mark.parametrize("days", RECENT)
    @pytest.mark.parametrize("when", ["before", "after"])
    def test_a_purge_in_the_middle_of_a_batch(self, when: str, days: int, settings: Any) -> None:
        left_over(settings)
        old, shard = numbers("acme") | numbers(GLOBAL), shard_of("acme", 8)
        send(*[interaction(n, "acme", ago(days)) for n in range(3)])
        store, purged = meanwhile(), list[int]()
        setattr(store, when, lambda: aside(lambda: purged.append(purge.purge())).join())
        assert shards.roll_up(shard, LATER, store).batches == 1
        roll_up(LATER)
        compact()
        new = numbers("acme") | numbers(GLOBAL)
        if when == "before":
            assert purged == [len(old)]
            assert new & old == set()
        else:
            assert purged == [len(old - new)]  # of those that the batch has, none
        assert counted("acme", days) == counted(GLOBAL, days) == 3
        assert nameless() == 0

    def test_no_floor_passes_the_end_of_a_lease_that_a_batch_relies_on(self) -> None:
        filled(OLD)
        send(interaction(9, "acme", ago(OLD)))
        store, moved = meanwhile(), list[bool]()
        store.before = lambda: aside(lambda: moved.append(floors.move(Resolution.MINUTE, NOW, NOW))).join()
        assert shards.roll_up(shard_of("acme", 8), LATER, store).batches == 1
        assert moved == [False]

    def test_of_two_renewals_the_longer_one_lasts(self) -> None:
        filled(300)
        far = to_datetime(ago(100)).date()
        send(interaction(1, "acme", ago(200)))
        with session() as other:
            other.execute("UPDATE monitoring_series SET leased_until = %s", [far])
            rolling = aside(lambda: roll_up(LATER))
            eventually("the roll-up waits for the other renewal", waiting, 20)
            other.commit()
        rolling.join()
        assert set(Series.objects.values_list("leased_until", flat=True)) == {far}

    def test_neither_waits_where_they_have_nothing_in_common(self, settings: Any) -> None:
        left_over(settings, "gone")
        filled(1, tenant="acme")  # and all tenants together
        send(*[interaction(n, "acme", ago(1) + n) for n in range(6)])
        with session() as purging:
            found = purging.execute(purge._PURGE, [0, purge.first_day(), 1_000]).fetchone()
            assert found is not None
            assert found[0] > 0
            rolling = aside(lambda: roll_up(LATER))
            rolling.join(20)
            assert not rolling.is_alive()
            purging.commit()
        compact()
        assert counted("acme", 1) == 12
        assert nameless() == 0

    def test_years_come_and_go_under_two_workers_that_remember_all_of_them(self) -> None:
        years, days = range(NOW.year - 8, NOW.year), 4
        year = [years.start]

        def clean() -> None:
            for resolution in (Resolution.DAY, Resolution.HOUR, Resolution.MINUTE):
                with suppress(StaleError):
                    floors.move(resolution, datetime(year[0], 1, 1, tzinfo=UTC), NOW - timedelta(hours=1))
                retention._drop_below(resolution, NOW, Retained())
            purge.purge()

        with worker(), over_and_over(clean, lambda: roll_up(LATER), compact) as errors:
            for year[0] in years:
                first = to_minute(datetime(year[0], 2, 1, tzinfo=UTC))
                for day in range(days):
                    send(*[interaction(day, name, first + day * 1_440) for name in ("acme", f"of-{year[0]}")])
                eventually("all of a year is rolled up", lambda: not backlog() or errors, 30, lambda: repr(errors))
                eventually("the year before is purged", lambda: purge.first_day().year == year[0] or errors, 30)
        compact()
        assert errors == []
        whole = [row for row in rows(Resolution.DAY) if row[:2] == ("acme", "interactions")]
        assert [to_datetime(row[3]).year for row in whole] == [years[-1]] * days
        assert SeriesPurge.objects.get().purged >= len(numbers(f"of-{years[-1]}")) * (len(years) - 1)
        assert tenants() == {"acme", f"of-{years[-1]}", GLOBAL}
        assert nameless() == 0


def backlog() -> int:
    """Batches that are not rolled up, but for those in which the monitoring counts what befalls it now."""
    store = HotStore.from_conf()
    return sum(batch.minute < ago(100) for shard in range(store.shards) for batch in store.backlog(shard))


@contextmanager
def over_and_over(*works: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Each of them again and again, beside the others; what they raise is yielded."""
    stop, errors = threading.Event(), list[BaseException]()

    def run(once: Callable[[], object]) -> None:
        try:
            while not stop.is_set():
                once()
        except BaseException as error:
            errors.append(error)

    threads = [aside(partial(run, once)) for once in works]
    try:
        yield errors
    finally:
        stop.set()
        for thread in threads:
            thread.join()


@contextmanager
def worker() -> Iterator[None]:
    """A process that rolls up until it is told to end."""
    running = subprocess.Popen(
        [sys.executable, "-c", _WORKER, str(LATER)],
        cwd=ROOT,
        env={**environment_of_tests(), "DJANGO_SETTINGS_MODULE": "config.settings"},
        stdin=subprocess.PIPE,
    )
    try:
        yield
    finally:
        running.communicate(timeout=30)
    assert running.returncode == 0


_WORKER = """
import sys, threading, django; django.setup()
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.rollup.shards import roll_up_all
told = threading.Thread(target=sys.stdin.read)
told.start()
while told.is_alive():
    roll_up_all(float(sys.argv[1]), HotStore.from_conf())
"""


def waiting() -> bool:
    with session() as asking:
        found = asking.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%%monitoring_series%%' "
            "AND pid <> pg_backend_pid()"
        ).fetchone()
    return found is not None and found[0] > 0


class TestCompactionAtThatMoment:
    """It copies rows of a series to the hour, or the day, while everything else is cleaned up."""

    @pytest.mark.parametrize(
        ("resolution", "kept"), [(Resolution.HOUR, {"hours": 1_000}), (Resolution.DAY, {"days": 1_000})], ids=["hour", "day"]
    )
    def test_rows_that_are_being_compacted_keep_their_series(
        self, resolution: Resolution, kept: dict[str, int], settings: Any
    ) -> None:
        send(*[interaction(n, "acme", ago(OLD) + n) for n in range(6)])
        roll_up(LATER)
        shard = shard_of("acme", 8)
        if resolution is Resolution.DAY:
            compaction.compact(*periods.due(Resolution.HOUR, shard))
        (period,) = periods.due(resolution, shard)
        partitions.ensure(resolution, to_datetime(period.start))
        keep(settings, **kept)
        retained: list[Retained] = []
        with transaction.atomic():
            assert compaction.compact(period) > (0, 0)
            aside(lambda: retained.append(retain())).join()
        assert len(retained[0].held_up) > 0
        assert retained[0].series == 0
        assert rows(resolution) != {}
        assert nameless() == 0

    def test_a_period_that_is_compacted_when_its_rows_are_gone_makes_none(self, settings: Any) -> None:
        filled(OLD)
        keep(settings)
        assert retain().series > 0
        for resolution in (Resolution.HOUR, Resolution.DAY):
            period = Period(resolution, shard_of("acme", 8), resolution.floor(ago(OLD)))
            with transaction.atomic():
                periods.touch(period)
            assert compaction.compact(period) == (0, 0)
        assert nameless() == 0


class TestMany:
    SERIES = 25_000

    @pytest.fixture(autouse=True)
    def _unused(self, stores: None) -> None:
        retain()  # there are floors
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO monitoring_series (tenant, metric, labels, leased_until) "
                "SELECT 'gone-' || n, 'interactions', '', date '1999-12-31' FROM generate_series(1, %s) AS n",
                [self.SERIES],
            )

    def test_they_go_lot_by_lot(self) -> None:
        lots: list[int] = []

        def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001
            if "seriespurge" in sql:
                lots.append(params[1])
            return execute(sql, params, many, context)

        with connection.execute_wrapper(watch):
            assert purge.purge() == self.SERIES
        assert lots == [10_000, 10_000, 5_000]
        assert not Series.objects.exists()

    def test_two_at_once_purge_and_count_each_once(self) -> None:
        purged: list[int] = []
        both = [aside(lambda: purged.append(purge.purge())) for _ in range(2)]
        for one in both:
            one.join()
        assert sum(purged) == SeriesPurge.objects.get().purged == self.SERIES
        assert not Series.objects.exists()

    def test_one_process_cleans_at_a_time(self) -> None:
        with locks.retention():
            aside(lambda: retain(NOW + timedelta(hours=1))).join()
        assert Series.objects.count() == self.SERIES

    def test_a_run_that_has_no_time_left_leaves_the_rest_to_the_next(self) -> None:
        assert purge.purge(-1.0) == 0
        assert purge.purge() == self.SERIES

    def test_the_disk_use_says_how_many_were_purged(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE monitoring_series")
        found = disk.series()
        assert (found.number, found.purged, found.purged_at) == (self.SERIES, 0, None)
        assert found.bytes > 100 * self.SERIES
        purge.purge()
        found = disk.series()
        assert found.purged == self.SERIES
        assert found.purged_at is not None


class TestReading:
    def test_what_was_read_while_its_partition_was_about_to_go_names_no_purged_series_later(self, settings: Any) -> None:
        def models() -> dict[str, Any]:
            found: dict[str, Any] = summary("acme", to_datetime(ago(OLD + 1)), to_datetime(ago(OLD - 1)))["model_usage"]
            return found

        send(*[interaction(n, "acme", ago(OLD) + n, model_used="old") for n in range(6)])
        send(*[interaction(n, "acme", ago(1) + n, model_used="new") for n in range(6)])
        roll_up(LATER)
        compact()
        keep(settings)
        retention.retain(NOW, HotStore.from_conf())
        assert "old" in models()
        assert retention.retain(NOW + timedelta(minutes=11), HotStore.from_conf()).series > 0
        assert "old" not in models()


class TestInvariants:
    def checked(self) -> tuple[int, int]:
        """How many of the compacted periods are wrong, and how many rows were counted."""
        before = recorder().flusher.counters["rows_without_series"]
        return invariants.check_sample(100), recorder().flusher.counters["rows_without_series"] - before

    def test_rows_that_have_their_series_are_right(self) -> None:
        filled(1, 30)
        assert self.checked() == (0, 0)

    def test_a_row_whose_series_is_not_there_is_counted(self) -> None:
        filled(1)
        lost = Series.objects.get(tenant="acme", metric="interactions")
        found = sum(1 for resolution in Resolution for row in rows(resolution) if row[:2] == ("acme", "interactions"))
        lost.delete()
        wrong, counted = self.checked()
        assert wrong == 2
        assert counted == found + 1  # the hour is looked at as an hour, and as a part of the day
        assert nameless() == found

    def test_a_lease_that_ends_before_a_row_is_counted_and_renewed(self) -> None:
        filled(1)
        Series.objects.update(leased_until=to_datetime(ago(2)).date())
        assert nameless() > 0
        wrong, counted = self.checked()
        assert wrong > 0
        assert counted > 0
        assert nameless() == 0
        assert self.checked() == (0, 0)
        assert set(Series.objects.values_list("leased_until", flat=True)) == {to_datetime(ago(1)).date()}
