"""What arrived, from whichever channel."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Arrival:
    """One mail, webhook or Sentry event."""

    channel: str
    title: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float = field(default_factory=time.time)

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


class Arrivals:
    """A list that several servers append to; every listener hears of each arrival."""

    def __init__(self, *listeners: Callable[[Arrival], None]) -> None:
        self._lock = threading.Lock()
        self._all: list[Arrival] = []
        self._listeners = listeners

    def add(self, arrival: Arrival) -> None:
        """Keep it and tell the listeners."""
        with self._lock:
            self._all.append(arrival)
            for listener in self._listeners:
                listener(arrival)

    def all(self, channel: str | None = None) -> list[Arrival]:
        """What came so far, in order."""
        with self._lock:
            return [arrival for arrival in self._all if channel in {None, arrival.channel}]
