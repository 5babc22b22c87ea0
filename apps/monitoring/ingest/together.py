"""What tenants add to all tenants together."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Final

from apps.monitoring.catalogue import BY_CODE, METRICS, OTHER, USER_PREFIX, by_code, user_metric
from apps.monitoring.core import series
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.labels import LabelCaps, overflowed
from apps.monitoring.ingest.slot import Slot
from apps.monitoring.ingest.waiting import Record

_MAX_RENAMED: Final = 20_000


class Together:
    """Label values of all tenants together have a cap of their own, of this process. Its lock is never held across I/O."""

    def __init__(self, cap: int) -> None:
        self.caps = LabelCaps(cap)
        self._lock = threading.Lock()
        self._renamed: dict[str, str] = {}

    def added(self, records: Iterable[Record]) -> list[Record]:
        """The records, and for each minute of theirs what they add to all tenants together.

        It goes in the same call: whatever dies between two calls, all tenants together are the sum of the tenants.
        """
        together: dict[int, Slot] = {}
        tenants: list[Record] = []
        with self._lock:
            for record in records:
                minute, tenant, slot = record
                if tenant == GLOBAL:  # what befell the monitoring: it is of no tenant
                    together.setdefault(minute, Slot()).merge(slot)
                else:
                    tenants.append(record)
                    self._merge_capped(together.setdefault(minute, Slot()), slot)
        return [*tenants, *((minute, GLOBAL, slot) for minute, slot in together.items())]

    def _merge_capped(self, into: Slot, slot: Slot) -> None:
        """Add a slot under the labels that all tenants together may have."""
        for name, times in slot.counters.items():
            into.count(self._series(name, into), times)
        for name, (times, total) in slot.amounts.items():
            into.add(self._series(name, into), total, times)
        for name, distribution in slot.distributions.items():
            into.merge_distribution(self._series(name, into), distribution)
        for name, members in slot.members.items():
            into.members.setdefault(name, set()).update(members)

    def _series(self, name: str, into: Slot) -> str:
        renamed = self._renamed.get(name) or self._rename(name)
        if renamed != name:
            into.count(series.encode(METRICS["label_overflow"], (by_code(renamed.split("\x1f", maxsplit=1)[0]).name,)))
        return renamed

    def _rename(self, name: str) -> str:
        code, *labels = name.split("\x1f")
        renamed = name
        if code not in BY_CODE and self.caps.admit(GLOBAL, USER_PREFIX, (code,)) is None:
            renamed = user_metric(OTHER, by_code(code).kind).code
        elif labels and self.caps.admit(GLOBAL, code, tuple(labels)) is None:
            renamed = "\x1f".join((code, *overflowed(tuple(labels))))
        if len(self._renamed) < _MAX_RENAMED:
            self._renamed[name] = renamed
        return renamed
