"""A monitor whose events are kept for whoever sends them by itself."""

from __future__ import annotations

from collections.abc import Mapping

from apps.monitoring.core.event import BELONGS, HANDED_OVER, TIMESTAMP, Event
from apps.monitoring.logs.context import current as correlation
from apps.monitoring.monitor import AgentMonitor


class Collector(AgentMonitor):
    """All its events are of one time, which has been judged, and is not judged again by the time of the merging.

    ``belongs`` is what their log lines belong to besides, and instead of, what the request does.
    """

    def __init__(self, tenant_id: str, when: float, belongs: Mapping[str, object]) -> None:
        super().__init__(tenant_id)
        self.events: list[Event] = []
        self._when, self._belongs = when, belongs

    def _put(self, event: Event) -> None:
        event[BELONGS] = {**(correlation() or {}), **self._belongs} or None
        event[HANDED_OVER], event[TIMESTAMP] = self._when, None
        self.events.append(event)
