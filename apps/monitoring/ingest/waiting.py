"""What waits for the hot store: slots by minute and tenant, those of past minutes packed when it stays away."""

from __future__ import annotations

import marshal
import zlib
from typing import Final

from apps.monitoring.ingest.slot import Slot

Record = tuple[int, str, Slot]
"""Minute, tenant, and what happened there."""

_OPEN: Final = 2
"""Minutes at the end that are not packed: events still come for them."""
_FIELD_BYTES: Final = 150
"""What a field of a slot takes: its entry, its number and its part of the name."""


class Waiting:
    """Grows with series, not with events."""

    def __init__(self) -> None:
        self._open: dict[int, dict[str, Slot]] = {}
        self._packed: dict[int, bytes] = {}
        """No minute is in both."""

    def merge(self, minute: int, tenant: str, slot: Slot) -> None:
        """Add a slot, which is no longer the caller's."""
        own = self._opened(minute)
        known = own.get(tenant)
        if known is None:
            own[tenant] = slot
        else:
            known.merge(slot)

    def take(self, fields: int) -> list[Record]:
        """Records worth about so many fields, of the oldest minutes."""
        records: list[Record] = []
        size = 0
        while size < fields and (minute := self.oldest()) is not None:
            own = self._opened(minute)
            tenant, slot = own.popitem()
            size += len(slot)
            records.append((minute, tenant, slot))
            if not own:
                del self._open[minute]
        return records

    def pack(self) -> None:
        """Make all but the last minutes a small part as large. They can still be merged into and taken."""
        for minute in sorted(self._open)[:-_OPEN]:
            plain = {tenant: slot.plain() for tenant, slot in self._open.pop(minute).items()}
            self._packed[minute] = zlib.compress(marshal.dumps(plain), 1)

    def oldest(self) -> int | None:
        """The oldest minute; None when nothing waits."""
        return min((*self._open, *self._packed), default=None)

    def is_last(self, minute: int) -> bool:
        """Whether nothing of a later minute waits."""
        return max((*self._open, *self._packed), default=minute) <= minute

    def drop(self, minute: int) -> None:
        """Give a minute up."""
        self._open.pop(minute, None)
        self._packed.pop(minute, None)

    def size(self) -> int:
        """Bytes of memory, as far as one can reckon."""
        fields = sum(len(slot) for own in self._open.values() for slot in own.values())
        return sum(map(len, self._packed.values())) + fields * _FIELD_BYTES

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._open or self._packed)

    def _opened(self, minute: int) -> dict[str, Slot]:
        own = self._open.get(minute)
        if own is None:
            own = self._open[minute] = {}
            packed = self._packed.pop(minute, None)
            if packed is not None:
                # Only what this process packed itself comes here, so nobody else's bytes are read.
                plain = marshal.loads(zlib.decompress(packed))  # noqa: S302
                own.update((tenant, Slot.of(one)) for tenant, one in plain.items())
        return own
