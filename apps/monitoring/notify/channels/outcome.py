"""How an attempt ended, as a value."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver has it. ``receipt`` is what the receiver calls it, for JSON: later notices of the same alerts get it.

    ``warning`` is what ops should know all the same; it stands where the last error does.
    """

    receipt: Mapping[str, Any] = field(default_factory=dict)
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Partly:
    """Some of the receivers have it, the others are tried again. The next attempt gets ``receipt``, which says who has it."""

    reason: str
    receipt: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """The receiver took a part, and this attempt ended. The next one comes soon, and gets ``receipt``: what it has by `TAKEN`.

    It comes not sooner than after ``after`` seconds if the receiver said so. What follows of the same matter waits.
    """

    reason: str
    receipt: Mapping[str, Any]
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Not now: try again, not sooner than ``after`` seconds if the receiver said so."""

    reason: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """Never: the receiver or the configuration says no."""

    reason: str


Outcome = Delivered | Partly | Unfinished | Retry | Rejected

NO_RECEIPT: Final[Mapping[str, Any]] = MappingProxyType({})
TAKEN: Final = "taken_steps"
"""The key in a receipt by which one that is `Unfinished` is known."""
LONGEST_WAIT: Final = 6 * 3_600.0
"""Seconds for which a receiver is left alone because it says so."""


def kept_wait(after: object) -> float | None:
    """The seconds that somebody asks for, as far as they are kept; None when it is no finite number of them.

    A receiver, a proxy before it or a function of the user's own may say anything.
    """
    if not isinstance(after, int | float) or (isinstance(after, float) and not math.isfinite(after)):
        return None
    return float(min(max(after, 0), LONGEST_WAIT))
