"""How an attempt ended, as a value."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it."""


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
