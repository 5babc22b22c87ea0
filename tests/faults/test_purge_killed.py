"""A purge, or a roll-up of series that could be purged, that is killed: no row loses its series, and each purged one is counted once."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import Series, SeriesPurge
from apps.monitoring.rollup import purge, retention
from tests.faults import test_compaction_killed, test_rollup_killed
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.purged import counted, left_over, numbers
from tests.integration.rollup.stored import compact, nameless, roll_up, send
from tests.integration.rollup.test_retention import LATER, NOW, ago, retain

pytestmark = pytest.mark.usefixtures("stores")

LOTS = 3
LOT = 10_000


@pytest.mark.parametrize(
    ("point", "done"),
    [
        ("before WITH unused", 1),
        ("after WITH unused", 1),  # deleted, not counted and not committed
        ("after INSERT INTO monitoring_seriespurge", 1),  # about to commit
        ("before SELECT pg_advisory_unlock", LOTS),
    ],
)
def test_a_killed_purge_is_finished_by_the_next_run_and_counts_each_series_once(point: str, done: int) -> None:
    retain()  # there are floors
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO monitoring_series (tenant, metric, labels, leased_until) "
            "SELECT 'gone-' || n, 'interactions', '', date '1999-12-31' FROM generate_series(1, %s) AS n",
            [LOTS * LOT],
        )
    nth = 2 if done < LOTS else 1
    test_compaction_killed.dies("retain", point, nth, (NOW + timedelta(minutes=11)).timestamp())
    assert Series.objects.count() == (LOTS - done) * LOT
    assert SeriesPurge.objects.get().purged == done * LOT
    assert retention.retain(NOW + timedelta(minutes=22), HotStore.from_conf()).series == (LOTS - done) * LOT
    assert SeriesPurge.objects.get().purged == LOTS * LOT
    assert not Series.objects.exists()


@pytest.mark.parametrize(
    ("point", "number"),
    [
        ("before WITH own", "another"),  # the lease of the old number is not renewed yet
        ("after WITH own", "the same"),
        ('before INSERT INTO "monitoring_rollupbatch"', "the same"),  # its rows are copied, and not committed
    ],
)
def test_what_a_killed_roll_up_has_renewed_stays_and_the_next_one_counts_everything(
    point: str, number: str, settings: Any
) -> None:
    left_over(settings)
    old = numbers("acme")
    send(*[interaction(n, "acme", ago(1)) for n in range(3)])
    test_rollup_killed.dies(point, 1)
    purge.purge()
    assert bool(numbers("acme")) == (number == "the same")
    roll_up(LATER)
    compact()
    assert (numbers("acme") <= old) == (number == "the same")
    assert counted("acme", 1) == 3
    assert nameless() == 0
