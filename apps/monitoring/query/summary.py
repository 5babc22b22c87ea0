"""The summary as users get it: range, watermark and every block."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any

from apps.monitoring.core.clock import SECONDS, isoformat, minute_of
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.core.summary import summarize
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.query import cache, source
from apps.monitoring.query.errors import UnknownTenantError


def summary(tenant: str | None, start: datetime, end: datetime) -> dict[str, Any]:
    """The summary of a tenant (None: all together) over whole minutes that cover ``[start, end)``, live to the second.

    Where minutes are not kept any more, over whole hours or days; the answer says over what.
    Raises UnknownTenantError, HotStoreUnavailableError, or django.db.DatabaseError.
    """
    if tenant is not None and "\0" in tenant:
        raise UnknownTenantError(tenant)  # Postgres refuses the character, so nothing can be stored under it
    first, last = minute_of(start.timestamp()), math.ceil(end.timestamp() / SECONDS)
    reading = source.read(GLOBAL if tenant is None else tenant, first, last, HotStore.from_conf())
    if tenant is not None and not reading.known:
        raise UnknownTenantError(tenant)
    return {
        "tenant": tenant,
        "from": isoformat(reading.start),
        "to": isoformat(reading.end),
        "complete_until": None if reading.complete_until is None else isoformat(reading.complete_until),
        **summarize(reading.cells),
    }


def shared(tenant: str | None, start: datetime, end: datetime) -> dict[str, Any]:
    """The same for those who poll: a second old at most, and computed once for all who ask meanwhile. Not to be changed."""
    first, last = minute_of(start.timestamp()), math.ceil(end.timestamp() / SECONDS)
    return cache.once(("summary", tenant, first, last), lambda: summary(tenant, start, end))
