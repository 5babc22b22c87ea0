"""A cost is computed from a price, or it is unknown and counted as that: never 0 for want of a price."""

from __future__ import annotations

from typing import Any

import pytest
from genai_prices.data_snapshot import get_snapshot

from apps.monitoring.core.pricing import Prices
from apps.monitoring.ingest import prices
from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.prices import PriceBook
from tests.unit.ingest.made import event, refused

FREE_OF_PRICES = "mistral-ocr-latest"
"""Listed, without any rate."""
INPUT_ALONE = "voyage-4-large"


def counted(model: str, book: PriceBook | None = None, **usage: int) -> dict[str, Any]:
    buffer = Buffer(100, book or PriceBook({}))
    buffer.merge([event("agent_interaction", model_used=model, estimated_cost=None, token_usage=usage)])
    (slot,) = buffer.take().values()
    return {name.replace("\x1f", "/"): value for name, value in slot.sums()}


def unknown(found: dict[str, Any]) -> int:
    return sum(times for name, times in found.items() if name.startswith("np/"))


def has_cost(found: dict[str, Any]) -> bool:
    return any(name.startswith(("c/", "cc/")) for name in found)


@pytest.mark.parametrize("model", [FREE_OF_PRICES, INPUT_ALONE])
def test_a_listed_model_without_a_rate_for_what_was_used_has_an_unknown_price(model: str) -> None:
    found = counted(model, prompt_tokens=10, completion_tokens=5)
    assert (has_cost(found), unknown(found)) == (False, 1)


def test_no_tokens_cost_nothing_where_a_price_is_known_and_are_unknown_where_none_is() -> None:
    assert has_cost(counted("gpt-4o", prompt_tokens=0, completion_tokens=0))
    found = counted(FREE_OF_PRICES, prompt_tokens=0, completion_tokens=0)
    assert (has_cost(found), unknown(found)) == (False, 1)


def test_a_rate_for_all_that_was_used_is_enough() -> None:
    found = counted(INPUT_ALONE, prompt_tokens=1_000, completion_tokens=0)
    assert (found[f"c/{INPUT_ALONE}:s"], unknown(found)) == (120_000, 0)


def test_tokens_that_are_not_all_known_are_no_unknown_price() -> None:
    found = counted("gpt-4o", prompt_tokens=10)
    assert (has_cost(found), unknown(found)) == (False, 0)


def test_a_cost_too_large_to_be_one_is_refused() -> None:
    book = PriceBook({"dear": {"input": 1e9, "output": 1e9}})
    found = counted("dear", book, prompt_tokens=10**15, completion_tokens=0)
    assert (has_cost(found), unknown(found), refused(found)) == (False, 0, {"too_large": 1})


def test_every_listed_model_has_a_cost_or_counts_as_unknown() -> None:
    models = {model.id for provider in get_snapshot().providers for model in provider.models}
    assert len(models) > 1_000
    for model in models:
        found = counted(model, prompt_tokens=100, completion_tokens=10)
        assert has_cost(found) != bool(unknown(found)), model


def test_an_address_of_a_model_is_looked_up_and_a_text_of_any_length_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    listed, asked = prices._listed, list[tuple[str | None, str]]()

    def ask(provider: str | None, model: str) -> Prices | None:
        asked.append((provider, model))
        return listed(provider, model)

    monkeypatch.setattr(prices, "_listed", ask)
    address = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-3-5-sonnet-20241022-v2:0"
    assert PriceBook({}).find("aws", address) is not None
    assert PriceBook({}).find("x" * 100_000, "gpt-4o") == PriceBook({}).find(None, "gpt-4o")
    found = counted("gpt-4o" * 100_000, prompt_tokens=10, completion_tokens=5)
    assert (has_cost(found), found["np/other:n"]) == (False, 1)
    assert max(len(text or "") for call in asked for text in call) == len(address)


def test_a_model_of_ones_own_may_be_called_as_one_likes() -> None:
    model = "mine" * 1_000
    assert has_cost(counted(model, PriceBook({model: {"input": 1, "output": 1}}), prompt_tokens=1_000, completion_tokens=0))
