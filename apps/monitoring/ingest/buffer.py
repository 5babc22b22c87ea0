"""Events merged by minute and tenant, in this process, until they are flushed."""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Final

from apps.monitoring.core import values
from apps.monitoring.core.clock import SECONDS
from apps.monitoring.core.event import BELONGS, Event
from apps.monitoring.core.values import RefusedError
from apps.monitoring.ingest.events import TRANSLATORS
from apps.monitoring.ingest.labels import LabelCaps
from apps.monitoring.ingest.prices import PriceBook
from apps.monitoring.ingest.slot import Slot
from apps.monitoring.ingest.tally import Redact, Tally
from apps.monitoring.logs.redaction import Redactor

Slots = dict[tuple[int, str], Slot]
"""By minute and tenant."""

_MAX_LABELS: Final = 8_192
"""Texts of labels whose redaction is remembered."""
_MAX_TALLIES: Final = 20_000
_LOOKED_AFTER: Final = 5_000
"""Events: to look at each of 20,000 tenants takes 20 ms."""
_MAX_REMEMBERED: Final = 300_000
"""Spellings and conversations of all tenants, some 50 MB; then they are worked out anew as they come."""


class Buffer:
    """Grows with the number of series, not of events. Its lock is never held across I/O.

    ``redact`` is what every label passes through: a short text of a customer may be taken for a category.
    """

    def __init__(self, label_cap: int, prices: PriceBook | None = None, redact: Redact | None = None) -> None:
        self._prices = prices
        self._redact: Redact = lru_cache(_MAX_LABELS)(redact or Redactor().redact)
        self._lock = threading.Lock()
        self._slots: Slots = {}
        self._tallies: dict[str, Tally] = {}
        self._unlooked = 0
        """Events sent on since it was looked at how much is remembered."""
        self.caps = LabelCaps(label_cap)

    def merge(self, events: list[Event]) -> None:
        """Add events; one that cannot be read at all is counted as refused.

        What a signal raises in the main thread (KeyboardInterrupt, SystemExit) is raised again, once all events are in.
        """
        with self._lock:
            self._merge(events, self._slots)

    def apart(self, events: list[Event]) -> Slots:
        """What events come to by themselves, for whoever sends them on: under the same caps, and not added to the others."""
        with self._lock:
            slots: Slots = {}
            self._merge(events, slots)
            self._unlooked += len(events)
            if self._unlooked >= _LOOKED_AFTER:
                self._forget()
            return slots

    def take(self) -> Slots:
        """Everything merged so far; the buffer is empty after."""
        with self._lock:
            slots, self._slots = self._slots, {}
            self._forget()
            return slots

    def _merge(self, events: list[Event], slots: Slots) -> None:
        signalled: BaseException | None = None
        tallies = self._tallies
        for event in events:
            kind, tenant, handed_over, timestamp = event[:BELONGS]
            when, refused = handed_over, None
            if timestamp is not None:
                when, refused = _moment(timestamp, handed_over)
            tally = tallies.get(tenant)
            if tally is None:
                tally = self._tally(tenant)
            key = (int(when // SECONDS), tenant)
            slot = slots.get(key)
            if slot is None:
                slot = slots[key] = Slot()
            tally.slot = slot
            try:
                if refused is not None:
                    tally.refuse(refused)
                TRANSLATORS[kind](tally, event)
            except Exception:
                tally.refuse("unreadable")
            except BaseException as error:
                tally.refuse("unreadable")
                if threading.current_thread() is threading.main_thread():
                    signalled = error
        if signalled is not None:
            raise signalled

    def _tally(self, tenant: str) -> Tally:
        if len(self._tallies) >= _MAX_TALLIES:
            self._tallies.clear()
        tally = self._tallies[tenant] = Tally(self.caps, tenant, self._redact, self._prices)
        return tally

    def _forget(self) -> None:
        self._unlooked = 0
        if sum(map(len, self._tallies.values())) > _MAX_REMEMBERED:
            self._tallies.clear()


def _moment(timestamp: object, handed_over: float) -> tuple[float, str | None]:
    """When an event counts, and why the caller's own timestamp was refused."""
    try:
        return values.moment(timestamp, handed_over), None
    except RefusedError as refused:
        return handed_over, refused.reason
    except BaseException as error:
        if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
            raise
        return handed_over, "timestamp"
