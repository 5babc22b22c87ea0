"""The line of `events.line`, made at a fraction of its time when all arguments are of plain types, as nearly all are.

What a field needs depends on its type alone, so it is decided once for each combination of names and types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from types import NoneType
from typing import Any, Final

from apps.monitoring.logs import events, fields
from apps.monitoring.logs.redaction import Redactor

_MOST_PLANS: Final = 1_024
_IDS: Final = (fields.trace, fields.span)
_LISTS: Final = (fields.numbers, fields.names, fields.failures)
_SHOWS: Final = {event_type: dict((*shown, *events.CORRELATION)) for event_type, shown in events.FIELDS.items()}


@dataclass(slots=True)
class _Plan:
    """What is to be done with which arguments; the others are shown as they are."""

    head: dict[str, Any]
    absent: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    floats: list[str] = field(default_factory=list)
    counts: list[str] = field(default_factory=list)
    lists: list[tuple[str, fields.Show]] = field(default_factory=list)
    ids: list[tuple[str, fields.Show]] = field(default_factory=list)

    def takes(self, name: str, show: fields.Show, kind: type) -> bool:
        """Note what a field of this type needs; False when it needs a closer look each time."""
        if kind is NoneType:
            self.absent.append(name)
        elif show in _IDS and kind is int:
            self.ids.append((name, show))
        elif show in _LISTS and kind in (list, tuple):
            self.lists.append((name, show))
        elif kind is str and show is fields.text:
            self.texts.append(name)
        elif kind is str and (show is fields.name or show in _IDS):
            self.names.append(name)
        elif kind is float and show is fields.number:
            self.floats.append(name)
        elif kind is dict and show is fields.counts:
            self.counts.append(name)
        else:
            # The serializer refuses integers that are too large.
            return (kind is int and show is fields.number) or (kind is bool and show is fields.flag)
        return True


class Quick:
    """Makes lines with one redactor."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._plans: dict[tuple[object, ...], _Plan] = {}
        self._second = -1
        self._moment = ""
        """How the second begins in a line: only microseconds follow."""

    def line(  # noqa: C901, PLR0912 - a function a field would cost more than all the rest
        self, event_type: str, when: float, tenant_id: str, arguments: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """The fields of a line, or None when a value needs a closer look. May raise anything that such a value raises."""
        shape = (event_type, *arguments, *map(type, arguments.values()))
        plan = self._plans.get(shape) or self._learned(shape, event_type, arguments)
        if plan is None or type(tenant_id) is not str:
            return None
        second = int(when)
        if second != self._second:
            self._second, self._moment = second, events.timestamp(second)[:20]
        microsecond = round((when - second) * 1_000_000)
        if not 0 <= microsecond < 1_000_000:  # noqa: PLR2004 - rounded to the next second, or before 1970
            return None
        line = {"timestamp": f"{self._moment}{microsecond:06d}Z", **plan.head, "tenant_id": tenant_id, **arguments}
        for name in plan.absent:
            del line[name]
        for name in plan.floats:
            if not isfinite(line[name]):
                return None
        redactor = self._redactor
        limit, glance = redactor.max_text, redactor.glance
        for name in plan.texts:
            text = line[name]
            if len(text) > limit or glance(text) is not None:
                shown = line[name] = redactor.text(text)
                if shown is None:
                    del line[name]
        known = redactor.known
        for name in plan.names:
            text = line[name]
            line[name] = known.get(text) or redactor.short(text)
        for name in plan.counts:
            amounts = line[name]
            for key in amounts:
                if key not in known or type(amounts[key]) is not int:
                    line[name] = amounts = fields.counts(amounts, redactor)
                    break
            if not amounts:
                del line[name]
        for name, show in plan.lists:
            if not line[name]:
                del line[name]
            elif show is fields.failures:
                return None
            else:
                line[name] = show(line[name], redactor)
        for name, show in plan.ids:
            line[name] = show(line[name], redactor)
        return line

    def _learned(self, shape: tuple[object, ...], event_type: str, arguments: Mapping[str, Any]) -> _Plan | None:
        shows = _SHOWS.get(event_type, {})
        plan = _Plan(
            {
                "level": "ERROR" if events.failed(event_type, arguments) else "INFO",
                "logger": events.LOGGER,
                "message": events.MESSAGES.get(event_type, event_type),
                "event_type": event_type,
            }
        )
        for name, value in arguments.items():
            show = shows.get(name)
            if show is None or not plan.takes(name, show, type(value)):
                return None
        if len(self._plans) >= _MOST_PLANS:
            self._plans.clear()
        self._plans[shape] = plan
        return plan
