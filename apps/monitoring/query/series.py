"""A statistic step by step: what charts draw."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from apps.monitoring.core.clock import SECONDS, isoformat, minute_of
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.core.summary import Cells, Reader
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.query import source
from apps.monitoring.query.errors import RangeError
from apps.monitoring.rollup import floors

STEPS: Final = tuple(step for step in range(1, Resolution.DAY + 1) if Resolution.DAY % step == 0)
"""Minutes that a step may have: those that divide a day."""
MAX_STEPS: Final = 11_000
"""As many points as Prometheus gives of a series at most."""


def steps(tenant: str | None, metrics: list[str], start: datetime, end: datetime, step: int) -> Mapping[int, Cells]:
    """The cells of some metrics in each step that has any, over whole steps that cover ``[start, end)``, live to the second.

    Raises RangeError when the step divides no day, makes too many points, or is finer than what is still kept.
    """
    if step not in STEPS:
        msg = f"a step of {step} minutes does not divide a day: take one of {', '.join(map(str, STEPS))}"
        raise RangeError(msg)
    first = minute_of(start.timestamp()) // step * step
    last = -(-math.ceil(end.timestamp() / SECONDS) // step) * step
    if (last - first) // step > MAX_STEPS:
        msg = f"{(last - first) // step} points are too many: take a longer step"
        raise RangeError(msg)
    _check_kept(first, step)
    return source.read_steps(GLOBAL if tenant is None else tenant, first, last, step, metrics, HotStore.from_conf())


def _check_kept(first: int, step: int) -> None:
    for resolution, floor in sorted(floors.read().items()):
        if first < floor and resolution.coarser is not None and step % resolution.coarser:
            least = resolution.coarser.value
            msg = f"before {isoformat(floor)} only rows of {least} minutes are kept: take a step that {least} divides"
            raise RangeError(msg)


def per_minute(tenant: str | None, start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Interactions and p95 response time (ms) of every minute that has any, oldest first, live to the second.

    A minute without an answer has p95_ms None.
    """
    found = steps(tenant, ["interactions", "response_time"], start, end, 1)
    points = []
    for minute in sorted(found):
        read = Reader(found[minute])
        if read.count("interactions"):
            points.append(
                {
                    "minute": isoformat(minute),
                    "interactions": read.count("interactions"),
                    "p95_ms": read.quantile("response_time", 0.95),
                }
            )
    return points
