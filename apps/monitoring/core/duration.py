"""Stretches of time as people write them: whole minutes, hours and days."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

_SPELLING: Final = re.compile(r"(\d{1,10})\s*([mhd]?)\Z")
_MINUTES: Final = MappingProxyType({"": 1, "m": 1, "h": 60, "d": 1_440})


def parse(text: str) -> int:
    """The minutes of 10, 10m, 2h or 1d. Raises ValueError."""
    match = _SPELLING.match(text.strip())
    if match is None:
        msg = f"a stretch of time is whole minutes, such as 10, 10m, 2h or 1d, not {text!r}"
        raise ValueError(msg)
    return int(match[1]) * _MINUTES[match[2]]


def spell(minutes: int) -> str:
    """The shortest spelling that `parse` reads back."""
    unit = next((unit for unit in ("d", "h") if minutes and minutes % _MINUTES[unit] == 0), "m")
    return f"{minutes // _MINUTES[unit]}{unit}"


def in_words(minutes: int) -> str:
    """As in a sentence: 8 minutes, 1 hour 30 minutes, 2 days; never rounded."""
    days, rest = divmod(minutes, 1_440)
    parts = [(days, "day"), (rest // 60, "hour"), (rest % 60, "minute")]
    return " ".join(f"{number} {name}{'' if number == 1 else 's'}" for number, name in parts if number) or "0 minutes"
