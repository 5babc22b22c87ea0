"""What a value in a file may be. Each function gives it back as its type, or raises TypeError or ValueError."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from reprlib import Repr
from typing import Any, Final

from apps.monitoring.core import duration
from apps.monitoring.core.clock import to_datetime, to_minute

_SHOWN: Final = Repr()
_SHOWN.maxlevel = 2
short: Final = _SHOWN.repr
"""A value in a message: a file of a few lines can spell one of gigabytes."""


def text(value: object) -> str:
    """A text."""
    if not isinstance(value, str):
        msg = f"a text, not {short(value)}: put it in quotes"
        raise TypeError(msg)
    return value


def flag(value: object) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        msg = f"true or false, not {short(value)}"
        raise TypeError(msg)
    return value


def number(value: object) -> float:
    """A finite number."""
    if isinstance(value, str):
        # YAML 1.1 takes 1e3 for a text.
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"a finite number, not {short(value)}"
        raise ValueError(msg)
    return float(value)


def maybe_number(value: object) -> float | None:
    """A finite number, or nothing."""
    return None if value is None else number(value)


def whole(value: object) -> int:
    """A whole number, not negative."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = f"a whole number of at least 0, not {short(value)}"
        raise ValueError(msg)
    return value


def minutes(value: object) -> int:
    """A stretch of time."""
    return duration.parse(value) if isinstance(value, str) else whole(value)


def labels(value: object) -> dict[str, str]:
    """Label values by label."""
    if not isinstance(value, dict):
        msg = f"a mapping of texts, such as {{model: gpt-4o}}, not {short(value)}"
        raise TypeError(msg)
    return {text(name): text(label) for name, label in value.items()}


def texts(value: object) -> list[str]:
    """A list of texts."""
    if not isinstance(value, list):
        msg = f"a list of names, not {short(value)}"
        raise TypeError(msg)
    return [text(one) for one in value]


def minute(value: object) -> int:
    """A moment with a time zone, a whole minute."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    if not isinstance(moment, datetime) or moment.tzinfo is None or to_datetime(to_minute(moment)) != moment:
        msg = f"a whole minute with a time zone, such as 2026-01-05T00:00:00Z, not {short(value)}"
        raise ValueError(msg)
    return to_minute(moment)


def record(
    value: object, readers: Mapping[str, Callable[[object], Any]], needed: Iterable[str], place: str
) -> tuple[dict[str, Any], list[str]]:
    """What a mapping says under the keys that there are, read, and everything that is wrong with it."""
    if not isinstance(value, dict):
        return {}, [f"{place}: this is a mapping, not {short(value)}"]
    found = [f"{place}: {key}: there is no such key: {', '.join(readers)}" for key in value if key not in readers]
    found += [f"{place}: {key}: this is missing" for key in needed if key not in value]
    said: dict[str, Any] = {}
    for key, read in readers.items():
        if key in value:
            try:
                said[key] = read(value[key])
            except (TypeError, ValueError, OverflowError) as error:
                found.append(f"{place}: {key}: {error}")
    return said, found
