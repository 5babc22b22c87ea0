"""Events merged by minute and tenant, in this process, until they are flushed."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from apps.monitoring.core import values
from apps.monitoring.core.clock import minute_of
from apps.monitoring.core.values import RefusedError
from apps.monitoring.ingest.events import TRANSLATORS, Tally
from apps.monitoring.ingest.labels import LabelCaps
from apps.monitoring.ingest.slot import Slot

Event = tuple[str, str, float, object, Mapping[str, Any]]
"""Type, tenant, when it was handed over (epoch seconds), the caller's own timestamp or None, arguments."""

Slots = dict[tuple[int, str], Slot]
"""By minute and tenant."""


class Buffer:
    """Grows with the number of series, not of events. Its lock is never held across I/O."""

    def __init__(self, label_cap: int) -> None:
        self._lock = threading.Lock()
        self._slots: Slots = {}
        self.caps = LabelCaps(label_cap)

    def merge(self, events: list[Event]) -> None:
        """Add events; one that cannot be read at all is counted as refused."""
        with self._lock:
            for event in events:
                self._merge(event)

    def _merge(self, event: Event) -> None:
        kind, tenant, handed_over, timestamp, arguments = event
        refused = None
        try:
            when = values.moment(timestamp, handed_over)
        except RefusedError as error:
            when, refused = handed_over, error.reason
        slot = self._slots.setdefault((minute_of(when), tenant), Slot())
        tally = Tally(slot, self.caps, tenant)
        if refused is not None:
            tally.refuse(refused)
        try:
            TRANSLATORS[kind](tally, arguments)
        except Exception:  # noqa: BLE001 - arguments are foreign objects; whatever they raise must not end the thread
            tally.refuse("unreadable")

    def take(self) -> Slots:
        """Everything merged so far; the buffer is empty after."""
        with self._lock:
            slots, self._slots = self._slots, {}
            return slots
