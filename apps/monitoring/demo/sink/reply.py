"""What a receiver answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Reply:
    """A status and a body."""

    status: int
    body: bytes
    content_type: str

    @classmethod
    def json(cls, status: int, body: Any) -> Reply:
        """As most services answer."""
        return cls(status, json.dumps(body).encode(), "application/json; charset=utf-8")

    @classmethod
    def text(cls, status: int, body: str) -> Reply:
        """In a word or a line."""
        return cls(status, body.encode(), "text/plain; charset=utf-8")
