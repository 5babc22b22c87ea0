"""A worker remembers the number of a series for as long as it is leased."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.models import Series
from apps.monitoring.models.snapshot import LEASE_DAYS
from apps.monitoring.query.summary import summary
from apps.monitoring.rollup import (
    batches,
    purge,
)
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.purged import (
    OLD,
    RECENT,
    aside,
    counted,
    keep,
    left_over,
    numbers,
    session,
)
from tests.integration.rollup.stored import compact, nameless, roll_up, send
from tests.integration.rollup.test_retention import LATER, ago, filled, retain

pytestmark = pytest.mark.usefixtures("stores")


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
