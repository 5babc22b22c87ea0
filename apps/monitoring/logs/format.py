"""From a line's fields to its bytes. Never raises, always one line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import orjson

_OPTIONS: Final = orjson.OPT_NON_STR_KEYS


def json_line(fields: Mapping[str, Any]) -> bytes:
    """One JSON object."""
    try:
        return orjson.dumps(fields, default=_plain, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError):  # lone surrogates, integers over 64 bits, endless nesting
        return orjson.dumps({str(key): _safe(value) for key, value in fields.items()})


def ecs_line(fields: Mapping[str, Any]) -> bytes:
    """Elastic Common Schema 8: its own names where it has them, everything else under `agent_monitor`."""
    known = {"timestamp", "level", "logger", "message", "event_type", "tenant_id"}
    return json_line(
        {
            "@timestamp": fields["timestamp"],
            "log.level": str(fields["level"]).lower(),
            "log.logger": fields["logger"],
            "message": fields["message"],
            "ecs.version": "8.11.0",
            "event.action": fields["event_type"],
            "event.dataset": "agent_monitor",
            "organization.id": fields["tenant_id"],
            "agent_monitor": {name: value for name, value in fields.items() if name not in known},
        }
    )


def console_line(fields: Mapping[str, Any]) -> bytes:
    """For people."""
    head = f"{fields['timestamp']} {fields['level']:<5} {fields['tenant_id']} {fields['message']}"
    known = {"timestamp", "level", "logger", "message", "event_type", "tenant_id"}
    rest = " ".join(f"{name}={_safe(value)}" for name, value in fields.items() if name not in known)
    return f"{head} {rest}".replace("\n", "\\n").replace("\r", "\\r").encode("utf-8", "replace")


FORMATS: Final[Mapping[str, Callable[[Mapping[str, Any]], bytes]]] = MappingProxyType(
    {"json": json_line, "ecs": ecs_line, "console": console_line}
)


def _plain(value: Any) -> str:
    return _safe(value)


def _safe(value: Any) -> str:
    try:
        return str(value)[:2_000].encode("utf-8", "replace").decode()
    except Exception:  # a foreign object's __str__ may raise anything
        return f"<{type(value).__name__}>"
