"""Values made of those of two windows: a change against an earlier one, and the forecast of a budget."""

from __future__ import annotations

from typing import Any

from apps.monitoring.core.judging import Measured


def change(now: Measured, earlier: Measured) -> Measured:
    """By how many per cent the value differs from an earlier one. Against nothing, or against 0, there is no change to tell.

    Each of the two windows needs the samples that a rule asks for, so the smaller number counts.
    """
    known = now.value is not None and earlier.value
    return Measured(per_cent(now.value, earlier.value) if known else None, min(now.samples, earlier.samples))


def forecast(so_far: Measured, lately: Measured, window: int, left: int) -> Measured:
    """What a sum comes to when the rate of the latest ``window`` minutes goes on for the ``left`` ones."""
    known = so_far.value is not None or lately.value is not None
    value = projected(so_far.value or 0.0, lately.value or 0.0, window, left) if known else None
    return Measured(value, max(so_far.samples, lately.samples))


def per_cent(now: Any, earlier: Any) -> Any:
    """The difference in per cent of the earlier value; of numbers, or of arrays of them."""
    return (now - earlier) / abs(earlier) * 100


def projected(so_far: Any, lately: Any, window: int, left: Any) -> Any:
    """The sum so far, and the rate of the window for what is left; of numbers, or of arrays of them."""
    return so_far + lately / window * left
