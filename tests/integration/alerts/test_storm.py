"""Everybody fires at once, where hardly anything has fired for a long time."""

from __future__ import annotations

import pytest
from django.db import connection

from apps.monitoring.models import Alert
from tests.integration.alerts.judged import SLOW, answered, channel, play, rule

pytestmark = pytest.mark.usefixtures("stores")

TENANTS = 200


def looked_through() -> int:
    """Rows of alerts that were read one after the other so far, in this connection as well."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute("SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'monitoring_alert'")
        return int(cursor.fetchone()[0])


def test_what_a_storm_writes_is_not_compared_with_all_that_it_writes() -> None:
    channel()
    rule()
    play({0: [one for number in range(3) for one in answered(SLOW, f"quiet-{number}")]}, until=2)
    with connection.cursor() as cursor:  # Postgres learns that there is hardly anything
        cursor.execute("VACUUM ANALYZE monitoring_alert, monitoring_alertstate, monitoring_alerttransition")
    before = looked_through()
    storm = [one for number in range(TENANTS) for one in answered(SLOW, f"tenant-{number}", offset=2)]
    play({2: storm}, until=3, start=2)
    assert Alert.objects.filter(tenant__startswith="tenant").count() == TENANTS
    # Each alert is named by a state and a line of the history.
    assert looked_through() - before < 10 * TENANTS < TENANTS * TENANTS / 2
