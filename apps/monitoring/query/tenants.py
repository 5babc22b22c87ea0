"""Which tenants are known to have a metric."""

from __future__ import annotations

from django.db import connection

from apps.monitoring.core.clock import to_datetime


def known(metric: str) -> set[str]:
    """Every tenant that ever had the metric."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT tenant FROM monitoring_series WHERE metric = %s AND tenant <> ''", [metric])
        return {tenant for (tenant,) in cursor.fetchall()}


def known_before(metric: str, minute: int) -> set[str]:
    """Every tenant that has stored the metric before a minute."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tenant FROM monitoring_series s WHERE metric = %s AND tenant <> '' AND EXISTS "
            "(SELECT FROM monitoring_metricsnapshot m WHERE m.series_id = s.id AND m.ts < %s)",
            [metric, to_datetime(minute)],
        )
        return {tenant for (tenant,) in cursor.fetchall()}
