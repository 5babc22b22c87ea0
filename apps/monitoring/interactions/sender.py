"""Who sends interactions, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from apps.monitoring.interactions.row import BrokenError, Row
from apps.monitoring.monitor import AgentMonitor

ELSEWHERE: Final = "The token is bound to another tenant."
"""The same words whether that tenant exists or not."""


@dataclass(frozen=True, slots=True)
class Sender:
    """``scope`` keeps the keys of one sender apart from those of all others; ``tenant`` is "" for who records for all."""

    scope: str
    tenant: str

    def tenant_of(self, row: Row) -> str:
        """Whose interaction it is, by the name that every store can hold. Raises BrokenError."""
        told = row.get("tenant")
        if told is None:
            told = self.tenant
        if not isinstance(told, str) or not told.strip():
            raise BrokenError("no tenant" if self.tenant else "no tenant: the token is of all, so each line names its own")
        # As it will count: what the monitor makes of a name must not be another tenant's.
        tenant = AgentMonitor(told, pricing=False).tenant_id
        if self.tenant and tenant != self.tenant:
            raise BrokenError(ELSEWHERE)
        return tenant
