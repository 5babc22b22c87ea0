"""Series go after the last of their rows, and no others."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.recorder import recorder
from apps.monitoring.models import Series, SeriesPurge
from apps.monitoring.models.snapshot import LEASE_DAYS
from apps.monitoring.query.summary import summary
from apps.monitoring.rollup import (
    disk,
    floors,
    invariants,
    locks,
    partitions,
    purge,
    retention,
)
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.purged import (
    OLD,
    aside,
    keep,
    numbers,
    session,
    tenants,
)
from tests.integration.rollup.stored import compact, nameless, roll_up, rows, send
from tests.integration.rollup.test_retention import LATER, NOW, ago, filled, retain

pytestmark = pytest.mark.usefixtures("stores")


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
        finest = next(one for one in Resolution if f"{one.name.lower()}s" in kept)
        assert [bool(rows(one)) for one in Resolution] == [one >= finest for one in Resolution]
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
    def test_what_is_about_to_go_is_not_read_any_more_and_names_no_purged_series_later(self, settings: Any) -> None:
        def models() -> dict[str, Any]:
            found: dict[str, Any] = summary("acme", to_datetime(ago(OLD + 1)), to_datetime(ago(OLD - 1)))["model_usage"]
            return found

        send(*[interaction(n, "acme", ago(OLD) + n, model_used="old") for n in range(6)])
        send(*[interaction(n, "acme", ago(1) + n, model_used="new") for n in range(6)])
        roll_up(LATER)
        compact()
        keep(settings)
        assert "old" in models()
        retention.retain(NOW, HotStore.from_conf())
        assert any("old" in row[2] for row in rows(Resolution.DAY)), "its rows are still there"
        assert "old" not in models()
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
