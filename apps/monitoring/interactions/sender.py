"""Who sends interactions or spans, and for whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from apps.monitoring.interactions.row import BrokenError
from apps.monitoring.monitor import AgentMonitor

ELSEWHERE: Final = "The token is bound to another tenant."
"""The same words whether that tenant exists or not."""
LINES: Final = "each line names its own"


@dataclass(frozen=True, slots=True)
class Sender:
    """``scope`` keeps the keys of one sender apart from those of all others; ``tenant`` is "" for who records for all."""

    scope: str
    tenant: str
    naming: str = LINES
    """How who records for all says whose something is."""

    def tenant_of(self, told: Any) -> str:
        """Whose it is by what it says, None if it does not, as the name that every store can hold. Raises BrokenError."""
        if told is None:
            told = self.tenant
        if not isinstance(told, str) or not told.strip():
            raise BrokenError("no tenant" if self.tenant else f"no tenant: the token is of all, so {self.naming}")
        # As it will count: what the monitor makes of a name must not be another tenant's.
        tenant = AgentMonitor(told, pricing=False).tenant_id
        if self.tenant and tenant != self.tenant:
            raise BrokenError(ELSEWHERE)
        return tenant
