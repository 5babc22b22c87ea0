"""The texts of captured messages: ``[{"role": "user", "parts": [{"type": "text", "content": "…"}]}]``, as values or as JSON."""

from __future__ import annotations

from typing import Any

import orjson

from apps.monitoring.core.depth import is_deep


def listed(value: Any) -> list[Any] | None:
    """A list, or the one that a text has as JSON; None for what is neither."""
    if isinstance(value, str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
        if is_deep(value):
            return None
    return value if isinstance(value, list) else None


def of_customer(value: Any) -> str | None:
    """The last message of the user: those before it are the history. None when there is none."""
    asked = [text for message in listed(value) or () if _role(message) == "user" and (text := _text(message))]
    return asked[-1] if asked else None


def of_agent(value: Any) -> str:
    """All that the agent answered; "" when that was not captured."""
    return "\n".join(text for message in listed(value) or () if (text := _text(message)))


def _role(message: Any) -> Any:
    return message.get("role") if isinstance(message, dict) else None


def _text(message: Any) -> str:
    parts = message.get("parts") if isinstance(message, dict) else None
    found = [
        part.get("content")
        for part in (parts if isinstance(parts, list) else ())
        if isinstance(part, dict) and part.get("type") == "text"
    ]
    return "\n".join(content for content in found if isinstance(content, str))
