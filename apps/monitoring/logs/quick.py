"""The line of `events.line`, made at a fraction of its time when all values are of plain types, as nearly all are.

What a field needs depends on its type alone, so it is decided once for each combination of types.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from types import NoneType
from typing import Any, Final

from apps.monitoring.core.event import BELONGS, FIELDS, HEAD, TENANT, TYPE, Event
from apps.monitoring.logs import events, fields
from apps.monitoring.logs.redaction import Redactor

_MOST_PLANS: Final = 1_024
_LISTS: Final = (fields.numbers, fields.names)

Places = list[tuple[str, int]]
"""Fields, and where in the event they are."""


@dataclass(slots=True)
class _Plan:
    """A line with its fields in their order, and what goes into them."""

    line: dict[str, Any]
    texts: Places = field(default_factory=list)
    names: Places = field(default_factory=list)
    floats: Places = field(default_factory=list)
    counts: Places = field(default_factory=list)
    others: Places = field(default_factory=list)
    """Shown as they are."""
    lists: list[tuple[str, int, fields.Show]] = field(default_factory=list)

    def takes(self, name: str, place: int, kind: type) -> bool:
        """Note what a field of this type needs; False when it needs a closer look each time."""
        show = events.SHOWS[name]
        if show in _LISTS and kind in (list, tuple):
            self.lists.append((name, place, show))
        elif kind is str and show is fields.text:
            self.texts.append((name, place))
        elif kind is str and show is fields.name:
            self.names.append((name, place))
        elif kind is float and show is fields.number:
            self.floats.append((name, place))
        elif kind is dict and show is fields.counts:
            self.counts.append((name, place))
        # The serializer refuses integers that are too large.
        elif (kind is int and show is fields.number) or (kind is bool and show is fields.flag):
            self.others.append((name, place))
        else:
            return False
        self.line[name] = None
        return True


class Quick:
    """Makes lines with one redactor."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._second = -1
        self._moment = ""
        """How the second begins in a line: only microseconds follow."""

    def line(self, event: Event, when: float) -> dict[str, Any] | None:  # noqa: C901, PLR0912 - a function a field would cost more than all the rest
        """The fields of a line, or None when a value needs a closer look. May raise anything that such a value raises."""
        shape = (event[TYPE], *map(type, event[HEAD:]))
        plan = self._plans.get(shape) or self._learned(shape, event)
        tenant = event[TENANT]
        if plan is None or type(tenant) is not str:
            return None
        second = int(when)
        if second != self._second:
            self._second, self._moment = second, events.timestamp(second)[:20]
        microsecond = round((when - second) * 1_000_000)
        if not 0 <= microsecond < 1_000_000:  # noqa: PLR2004 - rounded to the next second, or before 1970
            return None
        line = plan.line.copy()
        line["timestamp"] = f"{self._moment}{microsecond:06d}Z"
        line["tenant_id"] = tenant
        for name, place in plan.floats:
            number = event[place]
            if not isfinite(number):
                return None
            line[name] = number
        for name, place in plan.others:
            line[name] = event[place]
        redactor = self._redactor
        for name, place in plan.texts:
            line[name] = shown = redactor.text(event[place])
            if shown is None:
                del line[name]
        known = redactor.known
        for name, place in plan.names:
            text = event[place]
            line[name] = known.get(text) or redactor.short(text)
        for name, place in plan.counts:
            amounts = event[place]
            for key, amount in amounts.items():
                if known.get(key) != key or type(amount) is not int:
                    amounts = fields.counts(amounts, redactor)
                    break
            line[name] = amounts
            if not amounts:
                del line[name]
        for name, place, show in plan.lists:
            if event[place]:
                line[name] = show(event[place], redactor)
            else:
                del line[name]
        belongs = event[BELONGS]
        if belongs is not None:
            for name, show in events.CORRELATION:
                value = belongs.get(name)
                if value is not None:
                    line[name] = show(value, redactor)
        return line

    def _learned(self, shape: tuple[object, ...], event: Event) -> _Plan | None:
        event_type = event[TYPE]
        plan = _Plan(
            {
                "timestamp": "",
                "level": "ERROR" if events.failed(event) else "INFO",
                "logger": events.LOGGER,
                "message": events.MESSAGES[event_type],
                "event_type": event_type,
                "tenant_id": "",
            }
        )
        for place, name in enumerate(FIELDS[event_type], HEAD):
            kind = type(event[place])
            if kind is not NoneType and not plan.takes(name, place, kind):
                return None
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[shape] = plan
        return plan
