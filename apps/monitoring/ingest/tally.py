"""Puts the values of events into the slot of a tenant and minute, and refuses what cannot be counted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, Final

from apps.monitoring import catalogue
from apps.monitoring.catalogue import METRICS, Kind, Metric
from apps.monitoring.core import distinct, series, values
from apps.monitoring.core.values import MAX_STORED, RefusedError
from apps.monitoring.ingest.labels import LabelCaps, overflowed
from apps.monitoring.ingest.slot import Slot

_MAX_ITEMS: Final = 1_000
"""Scores or errors of one event that are looked at: an endless iterator must not hold the thread."""
_MAX_MEMBER: Final = 512
_MAX_CACHED: Final = 4_096
_REFUSED: Final = METRICS["refused_values"]
_OVERFLOW: Final = METRICS["label_overflow"]
_PLAIN: Final = (str, type(None))


class Tally:
    """One a tenant; `slot` is where its next event counts.

    It remembers how label values and conversations are spelled, because they come again and again.
    """

    __slots__ = ("_caps", "_members", "_spelled", "_tenant", "slot")

    def __init__(self, caps: LabelCaps, tenant: str) -> None:
        self.slot = Slot()
        self._caps = caps
        self._tenant = tenant
        self._spelled: dict[tuple[str, object], str] = {}
        self._members: dict[str, int] = {}

    def count(self, metric: Metric, times: int = 1) -> None:
        """Count an event of a counter without labels."""
        counters = self.slot.counters
        counters[metric.code] = counters.get(metric.code, 0) + times

    def count_by(self, metric: Metric, *labels: object, times: int = 1) -> None:
        """Count an event of a counter with labels."""
        self.slot.count(self.series(metric, *labels), times)

    def number(self, metric: Metric, value: object, *labels: object) -> int | None:
        """Add a value to an amount or a histogram; returns it in storage units, None when it is missing or refused."""
        if value is None:
            return None
        try:
            plain = type(value) in (int, float) and 0 <= value <= MAX_STORED  # type: ignore[operator]
            amount = round(value * metric.scale) if plain else -1  # type: ignore[operator]
            if not 0 <= amount <= MAX_STORED:
                amount = values.stored(value, metric.scale, negative=metric.signed)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return None
        spelled = self.series(metric, *labels) if labels else metric.code
        if metric.kind is Kind.HISTOGRAM:
            self.slot.distribution(spelled).observe(amount)
        else:
            self.slot.add(spelled, amount)
        return amount

    def count_of_user(self, metric: Metric, times: object, labels: tuple[str, ...]) -> None:
        """Count an event of a user's own metric, whose labels are one canonical JSON text."""
        try:
            self.slot.count(self._admitted(metric, labels), values.stored(times, 1))
        except RefusedError as refused:
            self.refuse(refused.reason)

    def number_of_user(self, metric: Metric, value: object, labels: tuple[str, ...]) -> None:
        """Add a value to a user's own metric, whose labels are one canonical JSON text."""
        try:
            self.slot.distribution(self._admitted(metric, labels)).observe(values.stored(value, metric.scale))
        except RefusedError as refused:
            self.refuse(refused.reason)

    def member(self, metric: Metric, value: object) -> None:
        """Put a member into a distinct count; tenants do not share members."""
        if value is None:
            return
        known = self._members.get(value) if type(value) is str else None
        try:
            self.slot.include(metric.code, self._hash(value) if known is None else known)
        except RefusedError as refused:
            self.refuse(refused.reason)

    def _hash(self, value: object) -> int:
        name = values.text(value, _MAX_MEMBER)
        hashed = distinct.hash_of(f"{self._tenant}\x00{name}")
        if type(value) is str:
            if len(self._members) >= _MAX_CACHED:
                self._members.clear()
            self._members[value] = hashed
        return hashed

    def refuse(self, reason: str) -> None:
        """Count a refused value."""
        self.slot.count(series.encode(_REFUSED, (reason,)))

    def truth(self, value: object) -> bool:
        """Whether a caller's value is true; what cannot say is refused, and false."""
        try:
            return bool(value)
        except Exception:
            self.refuse("unreadable")
            return False

    def items(self, value: object) -> list[Any]:
        """The items of an iterable that a caller handed over, bounded; what cannot be read on is left out."""
        items: list[Any] = []
        try:
            if isinstance(value, str | bytes) or not isinstance(value, Iterable):
                if value is not None:
                    self.refuse("not_a_list")
            else:
                items.extend(islice(value, _MAX_ITEMS))
        except Exception:  # an iterator of the caller's own may raise anything
            self.refuse("unreadable")
        return items

    def entries(self, value: object) -> dict[Any, Any]:
        """The entries of a mapping that a caller handed over, bounded; none when it is missing or cannot be read."""
        if value is None:
            return {}
        if type(value) is dict and len(value) <= _MAX_ITEMS:
            return value
        try:
            if isinstance(value, Mapping):
                return dict(islice(value.items(), _MAX_ITEMS))
            self.refuse("not_a_mapping")
        except Exception:  # a mapping of the caller's own may raise anything
            self.refuse("unreadable")
        return {}

    def series(self, metric: Metric, *labels: object) -> str:
        """How the series of these label values is spelled; `other` when there is no room for them."""
        plain = all(type(value) in _PLAIN for value in labels)
        if plain:
            known = self._spelled.get((metric.code, labels))
            if known is not None:
                return known
        spelled = self._admitted(metric, tuple(self._label(value) for value in labels))
        if plain and len(self._spelled) < _MAX_CACHED:
            self._spelled[metric.code, labels] = spelled
        return spelled

    def _admitted(self, metric: Metric, cleaned: tuple[str, ...]) -> str:
        if not cleaned or self._caps.admit(self._tenant, metric.code, cleaned) is not None:
            return series.encode(metric, cleaned)
        self.slot.count(series.encode(_OVERFLOW, (metric.name,)))
        return series.encode(metric, overflowed(cleaned))

    def _label(self, value: object) -> str:
        if value is None:
            return catalogue.UNSPECIFIED
        try:
            return values.label(value)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return catalogue.OTHER
