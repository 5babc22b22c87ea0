"""Simulated time: whatever takes time yields its seconds, and whoever drives it moves the clock on."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")
Steps = Generator[float, None, Result]
"""Work that yields the seconds it is about to take, before each thing that takes any."""


@dataclass(slots=True)
class Clock:
    """What time it is in the simulation, in epoch seconds."""

    now: float = 0.0
