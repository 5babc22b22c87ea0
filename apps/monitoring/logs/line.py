"""From an event to the bytes of its line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from apps.monitoring.core import values
from apps.monitoring.core.event import BELONGS, Event
from apps.monitoring.core.values import RefusedError
from apps.monitoring.logs import events
from apps.monitoring.logs.formats import Format
from apps.monitoring.logs.plain import Json, plain
from apps.monitoring.logs.quick import Quick
from apps.monitoring.logs.redaction import Redactor

MAX_BYTES: Final = 65_536
"""A quarter of what CloudWatch Logs and Loki take for one line."""
_NEVER_LEFT_OUT: Final = frozenset({"timestamp", "level", "logger", "message", "event_type", "tenant_id", "left_out"})
_LONGEST_TENANT: Final = 256


class Renderer:
    """Redacts and formats."""

    def __init__(self, redactor: Redactor, form: Format) -> None:
        self._redactor = redactor
        self._form = form
        self._quick = Quick(redactor).line

    def __call__(self, event: Event) -> bytes:
        """One line with its end. What makes it too long is left out by name, the longest first."""
        _, _, handed_over, timestamp = event[:BELONGS]
        when = handed_over if timestamp is None else _moment(timestamp, handed_over)
        try:
            line = self._quick(event, when)
            if line is not None:
                data = self._form(line)
                if len(data) <= MAX_BYTES:
                    return data
        except Exception:  # noqa: S110 - any value that is not what it seems: it is looked at more closely next
            pass
        return self._odd(event, when)

    def _odd(self, event: Event, when: float) -> bytes:
        said = events.line(event, when, self._redactor)
        line = {name: plain(value) for name, value in said.items()}
        data = self._form(line)
        return data if len(data) <= MAX_BYTES else self._shortened(line)

    def _shortened(self, line: dict[str, Json]) -> bytes:
        line["tenant_id"] = str(line["tenant_id"])[:_LONGEST_TENANT]
        line["event_type"] = str(line["event_type"])[:_LONGEST_TENANT]
        line["message"] = str(line["message"])[:_LONGEST_TENANT]
        sizes = {name: len(self._form({**_HEAD, name: value})) for name, value in line.items() if name not in _NEVER_LEFT_OUT}
        left_out: list[Json] = []
        for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
            del line[name]
            left_out.append(name)
            data = self._form({**line, "left_out": left_out})
            if len(data) <= MAX_BYTES:
                return data
        return self._form({**line, "left_out": left_out})


def _moment(timestamp: object, handed_over: float) -> float:
    try:
        return values.moment(timestamp, handed_over)
    except RefusedError:
        return handed_over


_HEAD: Final[Mapping[str, object]] = {
    "timestamp": "",
    "level": "",
    "logger": "",
    "message": "",
    "event_type": "",
    "tenant_id": "",
}
