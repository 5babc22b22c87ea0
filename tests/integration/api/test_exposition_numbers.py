"""The numbers of `GET /metrics` are those of the summary over the same minutes, and of the events themselves."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import redis
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.monitoring.catalogue import METRICS
from apps.monitoring.core import prometheus
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.event import Event
from apps.monitoring.query.summary import summary
from tests.integration.api.conftest import bearer
from tests.integration.api.scraped import INTERACTIONS, MIDNIGHT, OPENMETRICS, Samples, complete, scrape, value
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, send
from tests.integration.rollup.test_rollup import clear
from tests.unit.ingest.made import KINDS, event

TENANTS = ("acme", "bolt")
LAST = MIDNIGHT + 130
"""Some hours have been compacted by then, one is under way."""
ERROR = 2 ** (1 / 64)
"""How much larger a value may be and still count under a bound."""
TIMES = (50.0, 250.0, 5_000.0, 5_000.001, 5_055.0, 10_000.0, 600_000.0, 700_000.0, 0.0)
SCORES = (0.0, 0.1, 0.5, 0.9, 0.909, 1.0)


def made(seed: int, count: int) -> list[tuple[int, str, dict[str, Any]]]:
    """Interactions by minute and tenant, some of which have values at a bound, or just beyond it."""
    chance = random.Random(seed)
    return [
        (
            chance.randrange(MIDNIGHT - 60, LAST),
            chance.choice(TENANTS),
            {
                "number": chance.randrange(60),
                "processing_time_ms": chance.choice([chance.lognormvariate(7, 2), chance.choice(TIMES)]),
                "confidence_score": chance.choice([None, chance.random(), chance.choice(SCORES)]),
                "model_used": chance.choice(["gpt-4o", "mini"]),
                "intent": chance.choice(["refund", "address", None]),
                "agent_response": chance.choice(["yes", "yes", None]),
                "estimated_cost": chance.choice([None, 0.013, chance.random() / 100]),
                "handoff_triggered": chance.random() < 0.3,
                "handoff_reason": chance.choice(["angry", None]),
                "errors": chance.choice([[], [], ["crm"], ["crm", {"operation": "llm"}]]),
            },
        )
        for _ in range(count)
    ]


def others(seed: int, count: int) -> list[Event]:
    chance = random.Random(seed)
    kinds = [kind for kind in KINDS if kind != "agent_interaction"]
    return [
        event(chance.choice(kinds), chance.randrange(MIDNIGHT - 60, LAST) * 60.0, chance.choice(TENANTS)) for _ in range(count)
    ]


@pytest.mark.usefixtures("stores")
@settings(
    max_examples=8,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 10**6), until=st.sampled_from([MIDNIGHT, MIDNIGHT + 2, MIDNIGHT + 75, LAST]), late=st.booleans())
def test_they_are_those_of_the_summary_and_of_the_events(valkey: redis.Redis, seed: int, until: int, *, late: bool) -> None:
    clear(valkey)
    events, more = made(seed, 120), others(seed, 60)
    given_to = [interaction(minute=minute, tenant=tenant, **arguments) for minute, tenant, arguments in events] + more
    random.Random(seed).shuffle(given_to)
    send(*given_to[: 100 if late else None])
    complete(until)
    compact()
    if late:
        scrape(bearer())
        send(*given_to[100:])
        complete(until)
    since = midnight(until)
    for tenant in (None, *TENANTS):
        named = {} if tenant is None else {"tenant": tenant}
        found = scrape(bearer(), *named.values(), accept=random.choice(["", OPENMETRICS]))
        # The summary looks at everything; what is not complete lies beyond its end.
        check_summary(found, summary(tenant, to_datetime(since), to_datetime(until)), named)
        own = [arguments for minute, owner, arguments in events if since <= minute < until and tenant in {None, owner}]
        check_events(found, own, named)


def midnight(until: int) -> int:
    """The midnight at or before the last complete minute."""
    return MIDNIGHT if until > MIDNIGHT else MIDNIGHT - 1_440


def check_summary(found: Samples, wanted: dict[str, Any], named: dict[str, str]) -> None:
    def summed(name: str, **labels: str) -> float:
        """Over what has these labels."""
        return sum(one for (own, has), one in found.items() if own == name and {**named, **labels}.items() <= dict(has).items())

    response, confidence = wanted["response_time"], wanted["confidence"]
    assert summed(INTERACTIONS) == wanted["interactions"]["total"]
    assert summed("agentmon_interactions_answered_total") == wanted["interactions"]["answered"]
    assert summed("agentmon_response_time_seconds_count") == response["sample_count"]
    assert summed("agentmon_response_time_seconds_sum") == pytest.approx(
        (response["mean_ms"] or 0) * response["sample_count"] / 1e3
    )
    assert summed("agentmon_confidence_count") == confidence["sample_count"]
    assert summed("agentmon_confidence_sum") == pytest.approx((confidence["mean"] or 0) * confidence["sample_count"])
    for kind, number in wanted["token_usage"]["by_kind"].items():
        assert summed("agentmon_tokens_total", kind=kind) == number
    assert summed("agentmon_tokens_total") == (wanted["token_usage"]["total_tokens"] or 0)
    assert summed("agentmon_conversations_total") == wanted["token_usage"]["conversation_count"]
    assert summed("agentmon_cost_usd_total") == pytest.approx(wanted["cost"]["total_usd"] or 0, rel=1e-12)
    for model, cost in wanted["cost"]["by_model"].items():
        assert value(found, "agentmon_cost_usd_total", model=model, **named) == cost
    assert (
        summed("agentmon_interactions_total") - summed("agentmon_cost_samples_total") >= wanted["cost"]["unpriced_interactions"]
    )
    for reason, number in wanted["handoff"]["by_reason"].items():
        assert value(found, "agentmon_handoffs_total", reason=reason, **named) == number
    assert {one["intent"]: one["count"] for one in wanted["intents"]} == {
        dict(labels)["intent"]: one for (name, labels), one in found.items() if name == "agentmon_intents_total" and one
    }
    for operation, number in wanted["errors"]["by_operation"].items():
        assert value(found, "agentmon_errors_total", operation=operation, **named) == number
    assert summed("agentmon_llm_calls_total") == wanted["llm_calls"]["total"]
    assert summed("agentmon_knowledge_searches_total") == wanted["knowledge_base"]["total_searches"]
    assert summed("agentmon_feedback_samples_total") == wanted["feedback"]["count"]
    assert summed("agentmon_feedback_since_midnight") == pytest.approx(
        (wanted["feedback"]["mean"] or 0) * wanted["feedback"]["count"]
    )


def check_events(found: Samples, own: Sequence[dict[str, Any]], named: dict[str, str]) -> None:
    """Under each bound are the values up to it, and none beyond it but by the error that is said."""
    times = [one["processing_time_ms"] / 1e3 for one in own if one["agent_response"] is not None]
    scores = [one["confidence_score"] for one in own if one["confidence_score"] is not None]
    for metric, values in (("response_time", times), ("confidence", scores)):
        family = prometheus.family(METRICS[metric])
        for bound in prometheus.unit_of(METRICS[metric]).bounds:
            counted = value(found, f"{family.name}_bucket", le=str(float(bound)), **named) or 0
            assert sum(one <= bound for one in values) <= counted <= sum(one <= bound * ERROR for one in values)
        assert (value(found, f"{family.name}_bucket", le="+Inf", **named) or 0) == len(values)


@pytest.mark.usefixtures("stores")
def test_a_value_at_a_bound_counts_under_it(everyone: Client) -> None:
    bounds = prometheus.unit_of(METRICS["response_time"]).bounds
    send(*[interaction(n, "acme", MIDNIGHT, processing_time_ms=bound * 1_000) for n, bound in enumerate(bounds)])
    complete(MIDNIGHT + 2)
    found = scrape(everyone)
    counted = [value(found, "agentmon_response_time_seconds_bucket", le=str(float(bound))) for bound in bounds]
    assert counted == list(range(1, len(bounds) + 1))
