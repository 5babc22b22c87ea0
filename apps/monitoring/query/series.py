"""A tenant's minutes one by one: what charts draw."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from django.db import connection

from apps.monitoring.catalogue import METRICS
from apps.monitoring.core import histogram
from apps.monitoring.core.clock import SECONDS, isoformat, minute_of, to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL


def per_minute(tenant: str | None, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Interactions and p95 response time (ms) of every rolled-up minute that has any, oldest first.

    A minute without an answer has p95_ms None.
    """
    first, last = minute_of(start.timestamp()), math.ceil(end.timestamp() / SECONDS)
    counts: dict[int, int] = {}
    buckets: dict[int, histogram.Buckets] = {}
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT m.ts, s.metric, m.count, m.data FROM monitoring_series s "
            "JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
            "WHERE s.tenant = %s AND s.metric IN ('interactions', 'response_time') "
            "AND m.resolution = %s AND m.ts >= %s AND m.ts < %s",
            [tenant or GLOBAL, Resolution.MINUTE, to_datetime(first), to_datetime(last)],
        )
        for moment, metric, count, data in cursor.fetchall():
            minute = to_minute(moment)
            if metric == "interactions":
                counts[minute] = counts.get(minute, 0) + count
            elif data is not None:
                histogram.merge(buckets.setdefault(minute, {}), histogram.decode(bytes(data)))
    scale = METRICS["response_time"].scale
    points = []
    for minute in sorted(counts):
        p95 = histogram.quantile(buckets.get(minute, {}), 0.95, None, None)
        points.append(
            {
                "minute": isoformat(minute),
                "interactions": counts[minute],
                "p95_ms": None if p95 is None else p95 / scale,
            }
        )
    return points
