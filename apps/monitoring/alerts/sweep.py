"""What a rule sees in every minute of a range: frame after frame, each read at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from django.db import connection

from apps.monitoring.alerts.measure import Windows, expected_tenants, sampled_metric
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.judging import NOTHING, Measured
from apps.monitoring.core.rules import NoData, Rule, Scope

NEVER: Final = np.iinfo(np.int64).max
_COLUMNS: Final = 60
"""Minutes of a frame that is read minute by minute."""


def sweep(rule: Rule, start: int, end: int) -> Iterator[Frame]:
    """The frames of the minutes ``[start, end)``, in order. Every minute of them has to be rolled up and still kept."""
    judged = _judged_from(rule, start)
    for first in range(start, end, _COLUMNS):
        last = min(first + _COLUMNS, end)
        yield _frame(rule, first, [Windows(minute).measure(rule) for minute in range(first, last)], judged)


def _frame(rule: Rule, start: int, minutes: list[dict[str, Measured]], known: dict[str, int]) -> Frame:
    if rule.scope == Scope.EVERY_TENANT and rule.no_data == NoData.ALERT:
        for minute, measured in enumerate(minutes, start):
            for tenant in measured:
                known.setdefault(tenant, minute)
    tenants = sorted({*known, *(tenant for measured in minutes for tenant in measured)})
    values = np.full((len(tenants), len(minutes)), np.nan)
    samples = np.zeros((len(tenants), len(minutes)), dtype=np.int64)
    for column, measured in enumerate(minutes):
        for row, tenant in enumerate(tenants):
            seen = measured.get(tenant, NOTHING)
            samples[row, column] = seen.samples
            if seen.value is not None:
                values[row, column] = seen.value
    return Frame(start, tenants, values, samples, np.array([known.get(tenant, NEVER) for tenant in tenants], dtype=np.int64))


def _judged_from(rule: Rule, start: int) -> dict[str, int]:
    """Whom the rule judges from the start even without samples: who was known by then, not who is known today."""
    expected = expected_tenants(rule)
    if rule.scope != Scope.EVERY_TENANT or not expected:
        return dict.fromkeys(expected, start)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT tenant FROM monitoring_series s WHERE metric = %s AND tenant <> '' AND EXISTS "
            "(SELECT FROM monitoring_metricsnapshot m WHERE m.series_id = s.id AND m.ts < %s)",
            [sampled_metric(rule), to_datetime(start)],
        )
        return {tenant: start for (tenant,) in cursor.fetchall()}
