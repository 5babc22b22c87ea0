"""Costs against the price list's own arithmetic, and against sums done by hand."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot

from apps.monitoring.core.pricing import Prices, Rate, cost
from apps.monitoring.core.tokens import disjoint
from apps.monitoring.ingest.prices import PriceBook, own_rates

NOW = datetime.now(UTC)
USED = {"prompt_tokens": 1_000, "completion_tokens": 100, "cache_read_tokens": 200}


def test_every_kind_has_its_own_price() -> None:
    book = PriceBook({"mine": {"input": 2.5, "output": 10, "cache_read": 1.25}})
    prices = book.find("anybody", "mine")
    assert prices is not None
    assert cost(prices, disjoint(USED)[0]) == 800 * 2_500 + 200 * 1_250 + 100 * 10_000


def test_a_kind_without_a_price_costs_what_its_whole_costs() -> None:
    prices = Prices({"input": Rate(1_000_000), "output": Rate(2_000_000)}, "test")
    assert cost(prices, disjoint({**USED, "reasoning_tokens": 50})[0]) == 1_000 + 200


def test_beyond_a_tier_everything_costs_its_price() -> None:
    prices = Prices({"input": Rate(10**6, ((1_000, 2 * 10**6),)), "output": Rate(10**6)}, "test")
    assert cost(prices, disjoint({"prompt_tokens": 1_000, "completion_tokens": 0})[0]) == 1_000
    assert cost(prices, disjoint({"prompt_tokens": 1_001, "completion_tokens": 0})[0]) == 2_002


@pytest.mark.parametrize("given", [{"total_tokens": 9}, {"prompt_tokens": 9}, {"completion_tokens": 9}])
def test_what_is_not_known_in_full_has_no_cost(given: dict[str, int]) -> None:
    assert cost(Prices({"input": Rate(1), "output": Rate(1)}, "test"), disjoint(given)[0]) is None


def test_the_cost_is_what_the_price_list_itself_computes() -> None:
    """Every model of the list that has prices for input and output."""
    chance = random.Random(5)
    book, compared = PriceBook({}), 0
    for provider in get_snapshot().providers:
        for model in chance.sample(provider.models, min(len(provider.models), 20)):
            prices = book.find(provider.id, model.id)
            if prices is None or not {"input", "output"} <= set(prices.rates):
                continue
            prompt = chance.choice((100, 5_000, 150_000, 300_000))
            read, written, out = chance.randrange(prompt // 2), chance.choice((0, prompt // 4)), chance.randrange(5_000)
            theirs = calc_price(
                Usage(input_tokens=prompt, cache_read_tokens=read, cache_write_tokens=written, output_tokens=out),
                model_ref=model.id,
                provider_id=provider.id,
            ).total_price
            ours = cost(
                prices,
                disjoint(
                    {
                        "prompt_tokens": prompt,
                        "completion_tokens": out,
                        "cache_read_tokens": read,
                        "cache_write_tokens": written,
                    }
                )[0],
            )
            assert ours is not None
            requests = model.get_prices(NOW).requests_kcount
            per_request = Decimal(0) if requests is None else getattr(requests, "base", requests) / 1_000
            assert abs(Decimal(ours) / 10**9 - (theirs - per_request)) <= Decimal("1e-9"), f"{provider.id} {model.id}"
            compared += 1
    assert compared > 100


def test_a_model_is_found_whatever_the_provider_is_called_and_an_unknown_one_is_not() -> None:
    book = PriceBook({})
    assert book.find("our-gateway", "gpt-4o") == book.find("openai", "gpt-4o") == book.find(None, "gpt-4o")
    assert book.find("openai", "a-model-of-our-own") is None
    assert book.find("openai", None) is None


def test_the_source_says_the_version_of_the_list() -> None:
    prices = PriceBook({}).find("openai", "gpt-4o")
    assert prices is not None
    assert prices.source.startswith("genai-prices ")


@pytest.mark.parametrize(
    "rates",
    [
        1,
        None,
        {"input": 1},
        {"input": 1, "output": -1},
        {"input": 1, "output": "one"},
        {"input": 1, "output": 1, "audio": 1},
        {"input": 1, "output": float("nan")},
    ],
)
def test_a_price_of_ones_own_that_cannot_be_is_refused(rates: Any) -> None:
    with pytest.raises(ValueError, match="MONITORING_PRICES of 'mine'"):
        own_rates("mine", rates)
