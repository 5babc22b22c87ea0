"""How deep a value of JSON goes."""

from __future__ import annotations

from typing import Any, Final

DEEPEST: Final = 50
"""Levels. What checks, stores and logs values goes down one call a level, and Python has only so many."""


def is_deep(value: Any) -> bool:
    """Whether it is nested deeper than that."""
    level = [value]
    for _ in range(DEEPEST):
        if not level:
            return False
        inner = [one.values() if isinstance(one, dict) else one for one in level if isinstance(one, dict | list)]
        level = [child for children in inner for child in children]
    return bool(level)
