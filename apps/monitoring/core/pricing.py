"""What tokens cost, in integers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from apps.monitoring.core import tokens

_PER: Final = 1_000_000
_INSTEAD: Final[Mapping[str, str]] = {
    tokens.CACHE_READ: tokens.INPUT,
    tokens.CACHE_WRITE: tokens.INPUT,
    tokens.REASONING: tokens.OUTPUT,
}
"""A kind without a price of its own costs what the kind it is part of costs."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Nano-dollars for a million tokens. Beyond the ``start`` of a tier, in tokens of the whole prompt, all cost its price."""

    base: int
    tiers: tuple[tuple[int, int], ...] = ()
    """Start and price, smallest start first."""

    def at(self, prompt: int) -> int:
        """The price for a prompt of this many tokens."""
        price = self.base
        for start, tier in self.tiers:
            if prompt > start:
                price = tier
        return price


@dataclass(frozen=True, slots=True)
class Prices:
    """The rates of a model by token kind, and the list that they are from, with its version."""

    rates: Mapping[str, Rate]
    source: str


def cost(prices: Prices, used: tokens.Counts) -> int | None:
    """Nano-dollars, rounded once; None when it cannot be known: a count, a rate of what was used, or every rate is missing."""
    if not prices.rates or not tokens.is_complete(used):
        return None
    prompt = sum(used.get(kind, 0) for kind in tokens.PROMPT_KINDS)
    total = 0
    for kind, count in used.items():
        rate = prices.rates.get(kind) or prices.rates.get(_INSTEAD.get(kind, kind))
        if rate is None and count:
            return None
        if rate is not None:
            total += count * rate.at(prompt)
    return (total + _PER // 2) // _PER
