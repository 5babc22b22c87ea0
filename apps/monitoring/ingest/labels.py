"""A cap on label values, so that a mistyped model name each call cannot fill the stores."""

from __future__ import annotations

from apps.monitoring.catalogue import OTHER
from apps.monitoring.core.series import GLOBAL

_GLOBAL_FACTOR = 10
"""All tenants together may have this many times the values of one."""
_MAX_KNOWN = 500_000
"""Values of all tenants that are remembered, some 75 MB; then all are forgotten and every tenant has its cap anew."""


class LabelCaps:
    """Which label values of which tenant have a series of their own; first come, first kept.

    Used by one thread at a time: the buffer holds its lock around it.
    """

    def __init__(self, cap: int) -> None:
        self.cap = cap
        self._known: dict[tuple[str, str], set[tuple[str, ...]]] = {}
        self._size = 0

    def admit(self, tenant: str, code: str, values: tuple[str, ...]) -> tuple[str, ...] | None:
        """The label values to count under: the given ones, or None when they are over the cap."""
        known = self._known.setdefault((tenant, code), set())
        if values in known:
            return values
        limit = self.cap * _GLOBAL_FACTOR if tenant == GLOBAL else self.cap
        if len(known) >= limit:
            return None
        if self._size >= _MAX_KNOWN:
            self._known.clear()
            self._size = 0
            known = self._known.setdefault((tenant, code), set())
        known.add(values)
        self._size += 1
        return values


def overflowed(values: tuple[str, ...]) -> tuple[str, ...]:
    """The label values of what is over the cap."""
    return (OTHER,) * len(values)
