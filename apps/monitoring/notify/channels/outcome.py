"""How an attempt ended, as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. ``receipt`` is what the receiver calls it, for JSON: later notices of the same alerts get it."""

    receipt: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: try again, not sooner than ``after`` seconds if the receiver said so."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the receiver or the configuration says no."""

    reason: str


Outcome = Delivered | Retry | Rejected
