"""A monitor whose events are kept for whoever sends them by itself."""

from __future__ import annotations

from apps.monitoring.core.event import BELONGS, HANDED_OVER, TIMESTAMP, Event
from apps.monitoring.logs.context import current as correlation
from apps.monitoring.monitor import AgentMonitor


class Collector(AgentMonitor):
    """Each event needs its ``timestamp``. It has been judged, and is not judged again by the time of the merging."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__(tenant_id)
        self.events: list[Event] = []

    def _put(self, event: Event) -> None:
        event[BELONGS] = correlation()
        event[HANDED_OVER], event[TIMESTAMP] = event[TIMESTAMP], None
        self.events.append(event)
