"""Prices of models: the user's own list first, then the one that genai-prices brings along. Nothing is fetched."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from apps.monitoring.core import tokens
from apps.monitoring.core.pricing import Prices, Rate

_log = logging.getLogger(__name__)

_MAX_REMEMBERED: Final = 4_096
_REMEMBER_SECONDS: Final = 900.0
"""Some prices hold for hours of the day."""
_NANO_DOLLARS: Final = 10**9
_KEYS: Final[Mapping[str, str]] = {
    tokens.INPUT: "input_mtok",
    tokens.CACHE_READ: "cache_read_mtok",
    tokens.CACHE_WRITE: "cache_write_mtok",
    tokens.OUTPUT: "output_mtok",
}
OWN: Final = "settings"


class PriceBook:
    """Looked up by the merging thread; the list is loaded with the first event that needs it."""

    def __init__(self, own: Mapping[str, Mapping[str, float]]) -> None:
        self._own = {model: Prices(own_rates(model, rates), OWN) for model, rates in own.items()}
        self._known: dict[tuple[str | None, str], tuple[float, Prices | None]] = {}

    def find(self, provider: object, model: object) -> Prices | None:
        """The prices of a model; None when they are not known."""
        if type(model) is not str:
            return None
        own = self._own.get(model)
        if own is not None:
            return own
        key = (provider if type(provider) is str else None, model)
        now = time.monotonic()
        known = self._known.get(key)
        if known is None or known[0] < now:
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[key] = now + _REMEMBER_SECONDS, _listed(*key)
        return known[1]


def own_rates(model: str, rates: Mapping[str, float]) -> Mapping[str, Rate]:
    """The rates of MONITORING_PRICES, US dollars a million tokens by kind. Raises ValueError that names what is wrong."""
    wrong = set(rates) - set(tokens.KINDS) | {tokens.UNATTRIBUTED} & set(rates)
    if wrong or not {tokens.INPUT, tokens.OUTPUT} <= set(rates):
        msg = f"MONITORING_PRICES of {model!r} must have input and output, and may have cache_read, cache_write, reasoning"
        raise ValueError(msg)
    found = {kind: Decimal(str(price)) for kind, price in rates.items()}
    if not all(price.is_finite() and price >= 0 for price in found.values()):
        msg = f"MONITORING_PRICES of {model!r} must be US dollars a million tokens, none negative: {dict(rates)}"
        raise ValueError(msg)
    return {kind: Rate(_nano(price)) for kind, price in found.items()}


def _listed(provider: str | None, model: str) -> Prices | None:
    try:
        # Late: 30,000 lines that most processes never need.
        from importlib.metadata import version

        from genai_prices import data_snapshot

        snapshot = data_snapshot.get_snapshot()
        # A provider that the list does not know is spelled in the caller's own way, or is a gateway to others.
        known = provider is not None and data_snapshot.find_provider_by_id(snapshot.providers, provider) is not None
        _, found = snapshot.find_provider_model(model, None, provider if known else None, None)
        listed = found.get_prices(datetime.now(UTC))
        rates = {kind: _rate(getattr(listed, key, None)) for kind, key in _KEYS.items()}
        return Prices({kind: rate for kind, rate in rates.items() if rate}, f"genai-prices {version('genai-prices')}")
    except LookupError:
        return None
    except Exception:  # a list that cannot be read must not cost the event
        _log.exception("the price of %r cannot be looked up", model)
        return None


def _rate(price: Any) -> Rate | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return Rate(_nano(price))
    return Rate(_nano(price.base), tuple((tier.start, _nano(tier.price)) for tier in price.tiers))


def _nano(dollars: Decimal) -> int:
    return round(dollars * _NANO_DOLLARS)
