"""50,000 events of which each has one hostile value, against a ledger that knows only numbers and names.

Of the other 50,000, hostile in everything, 30,000 are in test_monitor.py and 20,000 in ../instrument/test_fuzz.py.
"""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
import redis

from apps.monitoring import get_agent_monitor, monitor
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import HOSTILE_EVENTS, everything, fields
from tests.unit.ingest.hostile import VALUES, fresh

DAY = 86_400.0

NUMBERS: tuple[tuple[Any, str | None], ...] = (
    (None, None), (True, "not_a_number"), ("7", "not_a_number"), (b"7", "not_a_number"), ([7], "not_a_number"), ({}, "not_a_number"),
    (object(), "not_a_number"), (1j, "not_a_number"), ("\ud800", "not_a_number"), (math.nan, "not_finite"), (math.inf, "not_finite"),
    (-math.inf, "not_finite"), (Decimal("NaN"), "not_finite"), (np.float64("nan"), "not_finite"), (-1, "negative"),
    (-0.5, "negative"), (-(10**400), "negative"), (10**400, "too_large"), (1e300, "too_large"), (Decimal("1e50"), "too_large"),
)  # fmt: skip
"""What is no number to be counted, and the reason that it is refused for; None is missing, which is no refusal."""

TIMES: tuple[tuple[Any, bool], ...] = (
    (None, False), (math.nan, True), (math.inf, True), ("2026-01-05", True), (0, True), (-1e18, True), (1e18, True), (True, True),
    (datetime(1, 1, 1), True), (datetime(9999, 12, 31, tzinfo=UTC), True), (object(), True),
)  # fmt: skip
"""What is no time at which an event may count, and whether that is a refusal; the event counts at once."""

JUMPS = (-400 * DAY, -3_600.0, -0.001, 0.0, 61.0, 3_600.0, 400 * DAY)

TEXTS = ("conversation_id", "customer_message", "intent", "model_used", "handoff_reason", "agent_response")


class Ledger:
    """What one tenant must have: numbers of interactions and sums in storage units."""

    def __init__(self) -> None:
        self.expected: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def interaction(self, spoiled: str, milliseconds: int, nanodollars: int, tokens: int) -> None:
        self.expected["i:n"] += 1
        if spoiled != "processing_time_ms":
            self.expected["rt:s"] += milliseconds * 1_000
        if spoiled not in {"estimated_cost", "model_used"}:
            self.expected["c\x1fgpt-4o:s"] += nanodollars
            self.expected["c\x1fgpt-4o:n"] += 1
        if spoiled != "model_used":
            self.expected["m\x1fgpt-4o:n"] += 1
        if spoiled != "token_usage":
            self.expected["t\x1finput:s"] += tokens
            self.expected["it:n"] += 1
        if spoiled != "confidence_score":
            self.expected["cf:s"] += 500_000
        if spoiled != "intent":
            self.expected["in\x1frefund:n"] += 1


@pytest.fixture
def store(valkey: redis.Redis, settings: Any) -> Iterator[HotStore]:
    settings.MONITORING_PRICING = "off"  # a model that nobody knows would be counted
    recorder.flush_now(5)
    valkey.flushall()
    recorder._begin_anew()
    yield HotStore.from_conf()
    recorder.flush_now(5)
    recorder._begin_anew()


def test_one_hostile_value_spoils_nothing_else_and_is_counted_under_its_reason(
    store: HotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = random.Random(29)
    ledgers = {name: Ledger() for name in (*TEXTS, "numbers", "token_usage", "timestamp", "errors", "clock", "flood")}
    clock = [time.time()]
    monkeypatch.setattr(monitor, "now", lambda: clock[0])
    for number in range(HOSTILE_EVENTS):
        tenant = generator.choice(list(ledgers))
        ledger, spoiled = ledgers[tenant], tenant
        milliseconds, nanodollars, tokens = generator.randrange(10**6), generator.randrange(10**9), generator.randrange(10**5)
        arguments: dict[str, Any] = {
            "conversation_id": f"c-{number % 100}",
            "agent_response": "yes",
            "model_used": "gpt-4o",
            "confidence_score": 0.5,
            "processing_time_ms": milliseconds,
            "token_usage": {"prompt_tokens": tokens},
            "estimated_cost": Decimal(nanodollars).scaleb(-9),
            "intent": "refund",
        }
        if tenant == "numbers":
            spoiled = generator.choice(["processing_time_ms", "confidence_score", "estimated_cost"])
            arguments[spoiled], reason = generator.choice(NUMBERS)
            if reason is not None:
                ledger.refused[reason] += 1
        elif tenant == "timestamp":
            arguments[spoiled], is_refused = generator.choice(TIMES)
            ledger.refused["timestamp"] += is_refused
        elif tenant == "clock":
            clock[0] += generator.choice(JUMPS) if number % 10 == 0 else 0.5
        elif tenant == "flood":
            arguments["intent"], spoiled = f"intent {number}", "intent"
        elif tenant == "agent_response":
            arguments[spoiled] = generator.choice([value for value in VALUES if value is not None])
        else:
            arguments[spoiled] = generator.choice((*VALUES, *fresh()))
        get_agent_monitor(tenant).log_and_record_interaction(**arguments)
        ledger.interaction(spoiled, milliseconds, nanodollars, tokens)
        clock[0] = max(1.7e9, min(clock[0], 1.9e9))
    assert recorder.flush_now(60)
    held = everything(store)
    together = fields(held, "")
    for tenant, ledger in ledgers.items():
        found = fields(held, tenant)
        assert {name: found[name] for name in ledger.expected} == ledger.expected, tenant
        if tenant in {"numbers", "timestamp", "clock", "flood"}:
            refused = {name[2:-2]: times for name, times in found.items() if name.startswith("r\x1f")}
            assert refused == ledger.refused, tenant
    assert together["i:n"] == HOSTILE_EVENTS
    minutes = {batch.minute for shard in range(store.shards) for batch in store.backlog(shard)}
    assert len(minutes) > HOSTILE_EVENTS // 500, "the clock jumped"
    assert max(minutes) - min(minutes) > 1_000 * DAY / 60
    flood = fields(held, "flood")
    assert sum(times for name, times in flood.items() if name.startswith("in\x1f")) == flood["i:n"]
    assert flood["in\x1fother:n"] == flood["o\x1fintents:n"] == flood["i:n"] - 100
