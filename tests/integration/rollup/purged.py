"""Series whose rows have gone, and what the tests of them share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from django.db import connection

from apps.monitoring.core.resolution import Resolution
from apps.monitoring.ingest.hotstore import Batch, Chunk, HotStore
from apps.monitoring.models import Series
from tests.e2e.parts import environment_of_tests
from tests.integration.rollup.stored import rows
from tests.integration.rollup.test_retention import ago, filled, retain

OLD = 900
"""Days ago: a lease that was taken then has ended before the year that is kept below."""
RECENT = (1, 40, 300)
"""Days ago: where rows of a minute, an hour and a day are kept by the tests."""


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
