"""Puts the values of events into the slot of a tenant and minute, and refuses what cannot be counted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Final

from apps.monitoring import catalogue
from apps.monitoring.catalogue import METRICS, OTHER, USER_PREFIX, Kind, Metric, user_metric
from apps.monitoring.core import distinct, series, values
from apps.monitoring.core.values import MAX_LABEL, MAX_STORED, RefusedError, is_lazy
from apps.monitoring.ingest.labels import LabelCaps, overflowed
from apps.monitoring.ingest.prices import PriceBook
from apps.monitoring.ingest.slot import Slot

Redact = Callable[[str], str]

MAX_ITEMS: Final = 1_000
"""Scores or errors of one event that are looked at: an endless iterator must not hold the thread."""
_MAX_MEMBER: Final = 512
_MAX_CACHED: Final = 1_024
_LARGEST: Final = float(MAX_STORED)
_REFUSED: Final = METRICS["refused_values"]
_OVERFLOW: Final = METRICS["label_overflow"]
_HISTOGRAM: Final = Kind.HISTOGRAM


class Tally:
    """One a tenant; `slot` is where its next event counts.

    It remembers how label values and conversations are spelled, because they come again and again.
    """

    __slots__ = ("_caps", "_members", "_redact", "_spelled", "_tenant", "overflows", "prices", "slot")

    def __init__(self, caps: LabelCaps, tenant: str, redact: Redact, prices: PriceBook | None = None) -> None:
        self.slot = Slot()
        self.prices = prices
        self.overflows = 0
        """Labels that counted under `other`."""
        self._caps = caps
        self._redact = redact
        self._tenant = tenant
        self._spelled: dict[str, dict[object, str]] = {}
        self._members: dict[str, int] = {}

    def __len__(self) -> int:
        """How many spellings and conversations it remembers."""
        return len(self._members) + sum(map(len, self._spelled.values()))

    def series(self, metric: Metric, label: object) -> str:
        """How the series of a label value is spelled; `other` when there is no room for it."""
        if type(label) is str or label is None:
            known = self._spelled.get(metric.code)
            spelled = None if known is None else known.get(label)
            if spelled is not None:
                return spelled
        return self._spell(metric, label, (label,))

    def series_of(self, metric: Metric, *labels: object) -> str:
        """How the series of several label values is spelled, all of them `other` when there is no room for them."""
        if all(type(label) is str for label in labels):
            known = self._spelled.get(metric.code)
            spelled = None if known is None else known.get(labels)
            if spelled is not None:
                return spelled
        return self._spell(metric, labels, labels)

    def count(self, series: str) -> None:
        """Count an event of a counter."""
        counters = self.slot.counters
        counters[series] = counters.get(series, 0) + 1

    def stored(self, metric: Metric, value: object) -> int | None:
        """A value in storage units; None when it is refused."""
        if (type(value) is float or type(value) is int) and 0.0 <= value <= _LARGEST:
            amount = round(value * metric.scale)
            if amount <= MAX_STORED:
                return amount
        try:
            return values.stored(value, metric.scale, negative=metric.signed)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return None

    def number(self, metric: Metric, series: str, value: object) -> int | None:
        """Add a value to an amount or a histogram; returns it in storage units, None when it is missing or refused."""
        amount = None if value is None else self.stored(metric, value)
        if amount is None:
            return None
        if metric.kind is _HISTOGRAM:
            self.slot.observe(series, amount)
            return amount
        amounts = self.slot.amounts
        known = amounts.get(series)
        if known is None:
            amounts[series] = [1, amount]
        else:
            known[0] += 1
            known[1] += amount
        return amount

    def count_of_user(self, metric: Metric, times: object, labels: tuple[str, ...]) -> None:
        """Count an event of a user's own metric, whose labels are one canonical JSON text."""
        try:
            self.slot.count(self._of_user(metric, labels), values.stored(times, 1))
        except RefusedError as refused:
            self.refuse(refused.reason)

    def number_of_user(self, metric: Metric, value: object, labels: tuple[str, ...]) -> None:
        """Add a value to a user's own metric, whose labels are one canonical JSON text."""
        try:
            amount = values.stored(value, metric.scale)
            self.slot.observe(self._of_user(metric, labels), amount)
        except RefusedError as refused:
            self.refuse(refused.reason)

    def member(self, metric: Metric, value: object) -> None:
        """Put a member into a distinct count; tenants do not share members."""
        if value is None:
            return
        hashed = self._members.get(value) if type(value) is str else None
        if hashed is None:
            try:
                hashed = self._hash(value)
            except RefusedError as refused:
                self.refuse(refused.reason)
                return
        members = self.slot.members
        code = metric.code
        if code in members:
            members[code].add(hashed)
        else:
            members[code] = {hashed}

    def _hash(self, value: object) -> int:
        name = values.text(value, _MAX_MEMBER)
        hashed = distinct.hash_of(f"{self._tenant}\x00{name}")
        if type(value) is str and len(value) <= MAX_LABEL:
            if len(self._members) >= _MAX_CACHED:
                self._members.clear()
            self._members[value] = hashed
        return hashed

    def label(self, value: object) -> str:
        """A label value without what identifies a person or opens a door. Raises RefusedError(not_text)."""
        return self._redact(values.label(value))

    def refuse(self, reason: str) -> None:
        """Count a refused value."""
        self.slot.count(series.encode(_REFUSED, (reason,)))

    def truth(self, value: object) -> bool:
        """Whether a caller's value is true; what cannot say is refused, and false."""
        if value is True or value is False:
            return value
        try:
            if not is_lazy(value):
                return bool(value)
            self.refuse("lazy")
        except Exception:
            self.refuse("unreadable")
        return False

    def items(self, value: object) -> list[Any]:
        """The items of an iterable that a caller handed over, bounded; what cannot be read on is left out."""
        items: list[Any] = []
        try:
            if type(value) is tuple or type(value) is list:
                items = list(value[: MAX_ITEMS + 1])
            elif is_lazy(value):
                self.refuse("lazy")
            elif isinstance(value, str | bytes) or not isinstance(value, Iterable):
                if value is not None:
                    self.refuse("not_a_list")
            else:
                items.extend(islice(value, MAX_ITEMS + 1))
        except Exception:  # an iterator of the caller's own may raise anything
            self.refuse("unreadable")
        if len(items) > MAX_ITEMS:
            self.refuse("too_many")
            del items[MAX_ITEMS:]
        return items

    def entries(self, value: object) -> dict[Any, Any]:
        """The entries of a mapping that a caller handed over, bounded; none when it is missing or cannot be read."""
        if value is None:
            return {}
        if type(value) is dict and len(value) <= MAX_ITEMS:
            return value
        try:
            if is_lazy(value):
                self.refuse("lazy")
            elif isinstance(value, Mapping):
                items = list(islice(value.items(), MAX_ITEMS + 1))
                if len(items) > MAX_ITEMS:
                    self.refuse("too_many")
                return dict(items[:MAX_ITEMS])
            else:
                self.refuse("not_a_mapping")
        except Exception:  # a mapping of the caller's own may raise anything
            self.refuse("unreadable")
        return {}

    def _spell(self, metric: Metric, key: object, labels: tuple[object, ...]) -> str:
        overflows = self.overflows
        spelled = self._admitted(metric, tuple(self._label(metric, value) for value in labels))
        known = self._spelled.setdefault(metric.code, {})
        # Only plain, short texts are remembered: True is found under 1, and a foreign object's hash may be anything.
        # What counts under `other` is not, because each time is told.
        if (
            overflows == self.overflows
            and len(known) < _MAX_CACHED
            and all(value is None or (type(value) is str and len(value) <= MAX_LABEL) for value in labels)
        ):
            known[key] = spelled
        return spelled

    def _admitted(self, metric: Metric, cleaned: tuple[str, ...]) -> str:
        if not cleaned or self._caps.admit(self._tenant, metric.code, cleaned) is not None:
            return series.encode(metric, cleaned)
        self._overflow(metric)
        return series.encode(metric, overflowed(cleaned))

    def _of_user(self, metric: Metric, labels: tuple[str, ...]) -> str:
        """The series of a user's own metric; `user.other` when the tenant has as many names as it may."""
        if self._caps.admit(self._tenant, USER_PREFIX, (metric.code,)) is None:
            metric, labels = user_metric(OTHER, metric.kind), ()
            self._overflow(metric)
        return self._admitted(metric, labels)

    def _overflow(self, metric: Metric) -> None:
        self.overflows += 1
        self.slot.count(series.encode(_OVERFLOW, (metric.name,)))

    def _label(self, metric: Metric, value: object) -> str:
        if value is None:
            return catalogue.UNSPECIFIED
        try:
            told = values.text(value, MAX_LABEL + 1)  # once: a foreign object may do anything when it is looked at
            if not values.is_category(told):
                self._overflow(metric)
            return self.label(told)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return OTHER
