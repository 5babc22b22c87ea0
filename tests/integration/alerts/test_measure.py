"""What a rule sees, against the same computed in plain Python from the events themselves."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from typing import Any

import pytest
from django.db import connection

from apps.monitoring.alerts.measure import Windows
from apps.monitoring.core.event import FIELDS
from apps.monitoring.core.judging import NOTHING
from apps.monitoring.core.rules import MAX_WINDOW, Rule, Scope
from apps.monitoring.ingest.buffer import Event
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import compact, roll_up, send
from tests.unit.ingest.made import event

pytestmark = pytest.mark.usefixtures("stores")

TENANTS = ("acme", "bolt", "cyan")
QUANTILES = {"p50": Fraction(1, 2), "p95": Fraction(95, 100), "p99": Fraction(99, 100)}
NUMBERS = ("p50", "p95", "p99", "mean", "min", "max", "sum", "count", "rate")

Sample = tuple[str, int, str, float]
"""Tenant, minute, label value, value."""


def made() -> list[Event]:
    generator = random.Random(23)
    events: list[Event] = []
    for number in range(600):
        # The last tenant is silent in the last two minutes, and has no price ever.
        tenant, offset = generator.choice([(t, o) for t in TENANTS for o in range(6) if t != "cyan" or o < 4])
        events.append(
            interaction(
                generator.randrange(25),
                tenant,
                MINUTE + offset,
                agent_response=generator.choice(["yes", "yes", "yes", None]),
                processing_time_ms=float(round(generator.lognormvariate(7, 1.5))),
                model_used=generator.choice(["gpt-4o", "mini"]),
                estimated_cost=None if tenant == "cyan" else generator.randrange(1_000) / 1_000,
                handoff_triggered=generator.random() < 0.3,
                token_usage={"prompt_tokens": generator.randrange(500), "completion_tokens": 3},
            )
        )
        if number % 3 == 0:
            events.append(event("knowledge_search", (MINUTE + offset) * 60.0, tenant, result_count=generator.randrange(3)))
            events.append(
                event(
                    "llm_api_call",
                    (MINUTE + offset) * 60.0,
                    tenant,
                    provider=generator.choice(["openai", "local"]),
                    duration_ms=generator.randrange(1, 5_000),
                    error=generator.choice([None, None, "boom"]),
                )
            )
    return events


def samples(events: list[Event]) -> dict[str, list[Sample]]:
    """The samples of each metric, read off the events by hand."""
    found: dict[str, list[Sample]] = defaultdict(list)
    for kind, tenant, when, _, _, *values in events:
        said = dict(zip(FIELDS[kind], values, strict=True))
        at = tenant, int(when // 60)
        if kind == "agent_interaction":
            found["interactions"].append((*at, "", 1))
            found["model_usage"].append((*at, said["model_used"], 1))
            found["conversations"].append((*at, said["conversation_id"], 1))
            if said["agent_response"] is None:
                found["interactions_failed"].append((*at, "", 1))
            else:
                found["response_time"].append((*at, "", said["processing_time_ms"]))
            if said["estimated_cost"] is not None:
                found["cost"].append((*at, said["model_used"], said["estimated_cost"]))
            found["tokens"] += [(*at, "input", said["token_usage"]["prompt_tokens"]), (*at, "output", 3)]
            if said["handoff_triggered"]:
                found["handoff_conversations"].append((*at, said["conversation_id"], 1))
        elif kind == "knowledge_search":
            found["knowledge_searches"].append((*at, "", 1))
            if said["result_count"]:
                found["knowledge_hits"].append((*at, "", 1))
        elif kind == "llm_api_call":
            found["llm_calls"].append((*at, said["provider"], 1))
            found["llm_call_duration"].append((*at, said["provider"], said["duration_ms"]))
            if said["error"] is not None:
                found["llm_call_errors"].append((*at, said["provider"], 1))
    return found


def statistic(name: str, values: list[float], window: int) -> float | None:
    if not values:
        return None
    if name in QUANTILES:
        return sorted(values)[max(1, math.ceil(QUANTILES[name] * len(values))) - 1]
    return {
        "mean": sum(values) / len(values),
        "min": min(values),
        "max": max(values),
        "sum": sum(values),
        "count": float(len(values)),
        "rate": len(values) / (window * 60),
    }[name]


def within(found: list[Sample], tenant: str | None, window: int, minute: int, label: str | None = None) -> list[Sample]:
    return [
        one
        for one in found
        if (tenant is None or one[0] == tenant) and minute - window < one[1] <= minute and label in {None, one[2]}
    ]


def rules(metric: str, statistic: str, window: int, label: dict[str, str] | None = None) -> list[tuple[Rule, list[str]]]:
    """The rule in each scope, with the tenants that it judges ("" is all together)."""
    given: dict[str, Any] = {
        "name": "r", "metric": metric, "statistic": statistic, "operator": "gt", "threshold": 0.0, "window": window,
        "label_filter": label or {},
    }  # fmt: skip
    return [
        (Rule(**given), list(TENANTS)),
        (Rule(**given, scope=Scope.ONE_TENANT, tenant="bolt"), ["bolt"]),
        (Rule(**given, scope=Scope.GLOBAL), [""]),
    ]


def near(value: float | None, name: str) -> Any:
    return None if value is None else pytest.approx(value, rel=0.0055 if name in QUANTILES else 1e-9, abs=1e-12)


@pytest.fixture
def raw() -> dict[str, list[Sample]]:
    events = made()
    send(*events[::2])
    roll_up()
    send(*events[1::2])  # late, so every minute was merged
    roll_up()
    return samples(events)


def test_every_statistic_of_every_scope_and_window_is_that_of_the_samples(raw: dict[str, list[Sample]]) -> None:
    cases = [("response_time", name, None) for name in NUMBERS]
    cases += [("llm_call_duration", name, {"provider": "openai"}) for name in NUMBERS]
    cases += [("cost", name, label) for name in ("sum", "mean", "count", "rate") for label in (None, {"model": "mini"})]
    cases += [("tokens", name, {"kind": "input"}) for name in ("sum", "mean", "count")]
    cases += [("interactions", "count", None), ("interactions", "rate", None), ("model_usage", "count", {"model": "gpt-4o"})]
    for metric, name, label in cases:
        for window in (1, 3, 6):
            windows = Windows(MINUTE + 5)
            for rule, tenants in rules(metric, name, window, label):
                seen = windows.measure(rule)
                assert set(seen) <= set(tenants)
                for tenant in tenants:
                    own = within(raw[metric], tenant or None, window, MINUTE + 5, next(iter((label or {}).values()), None))
                    values = [value for *_, value in own]
                    found = seen.get(tenant, NOTHING)
                    assert found.value == near(statistic(name, values, window), name), (metric, name, window, tenant)
                    assert found.samples == len(values)


def test_a_distinct_count_is_that_of_the_union_over_the_window(raw: dict[str, list[Sample]]) -> None:
    for window in (1, 6):
        for rule, tenants in rules("conversations", "count", window):
            seen = Windows(MINUTE + 5).measure(rule)
            for tenant in tenants:
                members = {(one[0], one[2]) for one in within(raw["conversations"], tenant or None, window, MINUTE + 5)}
                assert seen.get(tenant, NOTHING).value == (len(members) or None)


@pytest.mark.parametrize("window", [1, 3, 6])
def test_every_ratio_is_that_of_the_samples(raw: dict[str, list[Sample]], window: int) -> None:
    def number(metric: str, tenant: str | None) -> float:
        own = within(raw[metric], tenant, window, MINUTE + 5)
        if metric in {"conversations", "handoff_conversations"}:
            return len({(one[0], one[2]) for one in own})
        return sum(value for *_, value in own)

    of = {
        "cost_per_conversation": ("cost", "conversations", "interactions"),
        "handoff_rate": ("handoff_conversations", "conversations", "interactions"),
        "error_rate": ("interactions_failed", "interactions", "interactions"),
        "knowledge_hit_rate": ("knowledge_hits", "knowledge_searches", "knowledge_searches"),
        "llm_error_rate": ("llm_call_errors", "llm_calls", "llm_calls"),
    }
    for ratio, (above, below, sampled) in of.items():
        for rule, tenants in rules(ratio, "ratio", window):
            seen = Windows(MINUTE + 5).measure(rule)
            for tenant in tenants:
                denominator = number(below, tenant or None)
                unpriced = ratio == "cost_per_conversation" and not within(raw["cost"], tenant or None, window, MINUTE + 5)
                value = None if not denominator or unpriced else number(above, tenant or None) / denominator
                found = seen.get(tenant, NOTHING)
                assert found.value == near(value, ratio), (ratio, tenant)
                assert found.samples == (number(sampled, tenant or None) if denominator else 0)


def test_what_was_never_recorded_is_not_measured(raw: dict[str, list[Sample]]) -> None:
    assert raw
    for rule, _ in [*rules("feedback", "mean", 5), *rules("user.nothing", "p95", 5)]:
        assert Windows(MINUTE + 5).measure(rule) == {}
    for rule, _ in rules("response_time", "p95", 5):
        assert Windows(MINUTE + 500).measure(rule) == {}


def test_the_metrics_of_the_users_own_are_measured_by_label() -> None:
    send(
        *[event("user_metric", tenant="acme", value=n, labels={"country": "de", "shop": str(n)}) for n in (1, 2)],
        event("user_metric", tenant="acme", value=10, labels={"country": "fr"}),
        event("user_metric", tenant="acme", value=100, labels={}),
    )
    roll_up()
    for label, count in [
        ({"country": "de"}, 3),
        ({"country": "fr"}, 10),
        ({"shop": "2"}, 2),
        ({}, 113),
        ({"country": "it"}, None),
    ]:
        ((rule, _), *_) = rules("user.carts", "count", 1, label)
        assert Windows(MINUTE).measure(rule).get("acme", NOTHING).value == count


LONG = (59, 60, 61, 1_440, 7 * 1_440, MAX_WINDOW)
LAST = MINUTE + 5 * 60 + 17  # not where an hour or a day ends


def over_a_month() -> list[Event]:
    """Something in every minute around the border of each window, and in between."""
    generator = random.Random(47)
    ages = {window + delta for window in LONG for delta in (-2, -1, 0, 1)} | {0} | set(generator.sample(range(MAX_WINDOW), 60))
    return [
        interaction(
            generator.randrange(40),
            generator.choice(TENANTS),
            LAST - age,
            agent_response=generator.choice(["yes", "yes", None]),
            processing_time_ms=float(round(generator.lognormvariate(7, 1.5))),
            model_used=generator.choice(["gpt-4o", "mini"]),
            estimated_cost=generator.choice([None, generator.randrange(1_000) / 1_000]),
            handoff_triggered=generator.random() < 0.3,
            token_usage={"prompt_tokens": generator.randrange(500), "completion_tokens": 3},
        )
        for age in sorted(ages)
        for _ in range(3)
    ]


@pytest.mark.parametrize("compacted", [False, True])
def test_every_statistic_of_windows_up_to_thirty_days_is_that_of_the_samples(*, compacted: bool) -> None:
    events = over_a_month()
    send(*events)
    roll_up((LAST + 2) * 60.0)
    if compacted:
        assert compact() > 30
    found = samples(events)
    windows = Windows(LAST)
    for window in LONG:
        for name in NUMBERS:
            for metric, label in (("response_time", None), ("cost", {"model": "mini"})):
                if metric == "cost" and name not in {"mean", "sum", "count", "rate"}:
                    continue
                for rule, tenants in rules(metric, name, window, label):
                    seen = windows.measure(rule)
                    for tenant in tenants:
                        own = within(found[metric], tenant or None, window, LAST, next(iter((label or {}).values()), None))
                        values = [value for *_, value in own]
                        assert seen.get(tenant, NOTHING).value == near(statistic(name, values, window), name), (
                            metric,
                            name,
                            window,
                        )
                        assert seen.get(tenant, NOTHING).samples == len(values)
        for rule, tenants in rules("handoff_rate", "ratio", window):
            seen = windows.measure(rule)
            for tenant in tenants:
                above, below = (
                    {one[2] if tenant else (one[0], one[2]) for one in within(found[metric], tenant or None, window, LAST)}
                    for metric in ("handoff_conversations", "conversations")
                )
                assert seen.get(tenant, NOTHING).value == (near(len(above) / len(below), "ratio") if below else None)


def test_records_that_come_while_a_ratio_is_read_do_not_tear_it() -> None:
    def failed() -> list[Event]:
        return [interaction(number, "acme", MINUTE, agent_response=None) for number in range(10)]

    send(*failed())
    roll_up()
    came = False

    def late(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django calls it so
        nonlocal came
        answer = execute(sql, params, many, context)
        if not came:
            came = True
            with ThreadPoolExecutor(1) as other:
                other.submit(come).result()
        return answer

    def come() -> None:
        try:
            send(*failed())
            roll_up()
        finally:
            connection.close()

    with connection.execute_wrapper(late):
        seen = Windows(MINUTE).measure(
            Rule(name="r", metric="error_rate", statistic="ratio", operator="gt", threshold=0.0, window=1)
        )
    assert came
    assert seen["acme"].value == 1.0
