"""The format `console`: for people at a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import structlog

_renderer: Final = structlog.dev.ConsoleRenderer(colors=False, sort_keys=False, pad_event_to=20, pad_level=True)
_HEAD: Final = frozenset({"timestamp", "level", "logger", "message", "event_type"})
_RENAMED: Final = {"exception": "error"}
"""The renderer would print what it knows as an exception below the line."""


def console_line(fields: Mapping[str, Any]) -> bytes:
    """Time, level, message, then name=value. What could move a terminal's cursor or break the line is escaped."""
    event = {_RENAMED.get(name, name): value for name, value in fields.items() if name not in _HEAD}
    event.update(timestamp=fields["timestamp"], level=str(fields["level"]).lower(), event=fields["message"])
    shown = _renderer(None, "info", event)
    printable = "".join(character if character.isprintable() else _escaped(character) for character in shown)
    return printable.encode("utf-8", "replace") + b"\n"


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
