"""Prices of models: the user's own list first, then the one that genai-prices brings along. Nothing is fetched.

That list is 30,000 lines of Python. Reading it is the only I/O here, so it is read when a monitor is made, before the first
event, and never by a thread that merges, which holds a lock that callers may come to wait for.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from apps.monitoring.core import tokens
from apps.monitoring.core.pricing import Prices, Rate

_log = logging.getLogger(__name__)

_MAX_REMEMBERED: Final = 4_096
_LONGEST: Final = 512
"""Names of models and providers that are looked up. Some are addresses, of 100 characters; a long text holds the thread up."""
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
_AGAIN_SECONDS: Final = 5.0
"""After so long a list that could not be read is tried again."""
_FORK_SECONDS: Final = 5.0
"""How long a fork waits for the list to be read."""


class PriceBook:
    """Looked up where events are merged; see `read_list` for when the list is there."""

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
        if len(model) > _LONGEST:
            return None
        key = (provider if type(provider) is str and len(provider) <= _LONGEST else None, model)
        now = time.monotonic()
        known = self._known.get(key)
        if known is None or known[0] < now:
            try:
                prices = _listed(*key)
            except Exception:  # a list that cannot be read must not cost the event; nor is that an answer to remember
                _log.debug("the price of %r cannot be looked up", model, exc_info=True)
                return None
            if len(self._known) >= _MAX_REMEMBERED:
                self._known.clear()
            known = self._known[key] = now + _REMEMBER_SECONDS, prices
        return known[1]


def own_rates(model: str, rates: Mapping[str, float]) -> Mapping[str, Rate]:
    """The rates of MONITORING_PRICES, US dollars a million tokens by kind. Raises ValueError that names what is wrong."""
    kinds = set(rates) if isinstance(rates, Mapping) else set()
    if not {tokens.INPUT, tokens.OUTPUT} <= kinds <= set(tokens.KINDS) - {tokens.UNATTRIBUTED}:
        wanted = "must have input and output, and may have cache_read, cache_write, reasoning"
        msg = f"MONITORING_PRICES of {model!r} {wanted}: {rates!r}"
        raise ValueError(msg)
    found = {kind: _dollars(price) for kind, price in rates.items()}
    if not all(price.is_finite() and price >= 0 for price in found.values()):
        msg = f"MONITORING_PRICES of {model!r} must be US dollars a million tokens, none negative: {dict(rates)}"
        raise ValueError(msg)
    return {kind: Rate(_nano(price)) for kind, price in found.items()}


def _dollars(price: object) -> Decimal:
    try:
        return Decimal(str(price))
    except InvalidOperation:
        return Decimal("nan")


@dataclass(frozen=True, slots=True)
class _List:
    module: Any
    source: str

    def prices(self, provider: str | None, model: str) -> Prices:
        """Raises LookupError for a model that is not listed."""
        snapshot = self.module.get_snapshot()
        # A provider that the list does not know is spelled in the caller's own way, or is a gateway to others.
        known = provider is not None and self.module.find_provider_by_id(snapshot.providers, provider) is not None
        _, found = snapshot.find_provider_model(model, None, provider if known else None, None)
        listed = found.get_prices(datetime.now(UTC))
        rates = {kind: _rate(getattr(listed, key, None)) for kind, key in _KEYS.items()}
        return Prices({kind: rate for kind, rate in rates.items() if rate}, self.source)


_list: _List | None = None
_failed_at: float | None = None
_reading = threading.RLock()
"""Held while the list is read, and by whoever forks: a fork in the middle of an import leaves the child half a module."""


def read_list() -> None:
    """Read the list if it is not there yet: 0.1 s and 17 MB, once for a process and its forks. Never raises."""
    global _list, _failed_at  # noqa: PLW0603 - one list a process
    if _list is not None:
        return
    with _reading:
        if _list is not None or (_failed_at is not None and time.monotonic() < _failed_at + _AGAIN_SECONDS):
            return
        try:
            # Late: most processes never need it.
            from importlib.metadata import version

            from genai_prices import data_snapshot

            data_snapshot.get_snapshot()
            _list = _List(data_snapshot, f"genai-prices {version('genai-prices')}")
        except Exception:
            _failed_at = time.monotonic()
            _log.exception("the price list cannot be read; until it can, costs that are not given stay unknown")


def _listed(provider: str | None, model: str) -> Prices | None:
    """The prices by the list, None for a model that it does not have. Raises when there is no list, or half of one."""
    read_list()
    if _list is None:
        raise RuntimeError("there is no price list")
    try:
        return _list.prices(provider, model)
    except LookupError:
        return None


def _rate(price: Any) -> Rate | None:
    if price is None:
        return None
    if isinstance(price, Decimal):
        return Rate(_nano(price))
    return Rate(_nano(price.base), tuple((tier.start, _nano(tier.price)) for tier in price.tiers))


def _nano(dollars: Decimal) -> int:
    return round(dollars * _NANO_DOLLARS)


def _before_fork() -> None:
    global _held  # noqa: PLW0603 - read by the same thread when the fork is done
    _held = _reading.acquire(timeout=_FORK_SECONDS)


def _after_in_parent() -> None:
    if _held:
        _reading.release()


def _after_in_child() -> None:
    global _reading  # noqa: PLW0603 - one lock a process
    _reading = threading.RLock()


_held = False
os.register_at_fork(before=_before_fork, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
