"""The day so far, for those who add up what they read themselves: complete minutes alone, so no number ever falls within it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from apps.monitoring.conf import conf
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query import source
from apps.monitoring.rollup.cells import Cells


@dataclass(frozen=True, slots=True)
class Today:
    """What each tenant that is known did since a midnight (UTC), by the minute ``since``."""

    since: int
    cells: Mapping[str, Cells]
    before: Mapping[str, Cells]
    """The day before: what there was then goes on at 0."""


def read(tenants: Collection[str]) -> Today | None:
    """The day so far of some tenants ("" = all together); None while no shard has been rolled up.

    Who is not known is not there. The hot store is not asked. Raises django.db.DatabaseError.
    """
    found = source.read_complete(tenants, conf().shards, lambda until: [span(until), day_before(until)])
    if found.until is None:
        return None
    return Today(
        span(found.until)[0],
        {tenant: own for tenant, (own, _) in found.cells.items()},
        {tenant: before for tenant, (_, before) in found.cells.items()},
    )


def span(until: int) -> tuple[int, int]:
    """The minutes ``[since, end)`` that stand there while ``until`` is the first one that is not complete.

    While it is a midnight the day before stands there as a whole. A minute later nothing does, whatever came in it, and then
    both minutes do. So who looks in each minute sees all of the day that is over, and that another one begins.
    """
    since = Resolution.DAY.floor(until - 1)
    return since, since if until == since + 1 else until


def day_before(until: int) -> tuple[int, int]:
    """The day before it."""
    since, _ = span(until)
    return since - Resolution.DAY, since
