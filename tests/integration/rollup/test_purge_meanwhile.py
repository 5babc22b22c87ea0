"""Whatever goes on while series are purged, no row is without its series."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import transaction

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.models import Series, SeriesPurge
from apps.monitoring.rollup import (
    compaction,
    floors,
    partitions,
    periods,
    purge,
    retention,
    shards,
)
from apps.monitoring.rollup.floors import StaleError
from apps.monitoring.rollup.periods import Period
from apps.monitoring.rollup.retention import Retained
from tests.e2e.parts import ROOT, environment_of_tests
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.purged import (
    OLD,
    RECENT,
    aside,
    counted,
    keep,
    left_over,
    meanwhile,
    numbers,
    session,
    tenants,
)
from tests.integration.rollup.stored import compact, nameless, roll_up, rows, send
from tests.integration.rollup.test_retention import LATER, NOW, ago, filled, retain
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")


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
