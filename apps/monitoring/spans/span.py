"""A span as it was sent, as far as it says something here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Attributes = Mapping[str, Any]
"""Values are texts, numbers, truths, bytes, None, and lists and mappings of them: nothing is checked but that."""


@dataclass(frozen=True, slots=True)
class Span:
    """Times are nanoseconds since 1970; 0 is a time that was not said."""

    attributes: Attributes
    resource: Attributes
    start: int
    end: int
    is_error: bool = False
    """By its status. An operation that failed may also say so by its attribute ``error.type``."""
    message: str = ""
    """Of its status."""
    trace_id: str = ""
    span_id: str = ""
    """In hexadecimal digits; "" when it has none."""
