"""A sweep sees in each minute what the evaluation sees in it."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from apps.monitoring.alerts import sweep as swept
from apps.monitoring.alerts.measure import Windows
from apps.monitoring.alerts.rulefile.written import Source, series
from apps.monitoring.catalogue import Kind
from apps.monitoring.core import distinct
from apps.monitoring.core.judging import NOTHING, Measured
from apps.monitoring.core.rules import Rule, Scope
from apps.monitoring.ingest.buffer import Event
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import compact, roll_up, send
from tests.unit.ingest.made import event

pytestmark = pytest.mark.usefixtures("stores")

TENANTS = ("acme", "bolt", "cyan")
MINUTES = 75
RULES: tuple[dict[str, Any], ...] = (
    *(
        {"metric": "response_time", "statistic": name}
        for name in ("p50", "p95", "p99", "mean", "min", "max", "sum", "count", "rate")
    ),
    {"metric": "llm_call_duration", "statistic": "p95", "label_filter": {"provider": "openai"}},
    {"metric": "cost", "statistic": "sum", "label_filter": {"model": "mini"}},
    {"metric": "cost", "statistic": "mean"},
    {"metric": "knowledge_similarity", "statistic": "sum"},
    {"metric": "tokens", "statistic": "rate", "label_filter": {"kind": "output"}},
    {"metric": "conversations", "statistic": "count"},
    {"metric": "user.carts", "statistic": "count", "label_filter": {"country": "de"}},
    {"metric": "user.basket", "statistic": "p50"},
    {"metric": "feedback", "statistic": "mean"},
    *(
        {"metric": name, "statistic": "ratio"}
        for name in ("cost_per_conversation", "handoff_rate", "error_rate", "knowledge_hit_rate", "llm_error_rate")
    ),
)
SCOPES: tuple[dict[str, Any], ...] = (
    {}, {"scope": Scope.GLOBAL}, {"scope": Scope.ONE_TENANT, "tenant": "bolt"}, {"no_data": "alert"},
)  # fmt: skip


def made() -> list[Event]:
    generator = random.Random(29)
    events: list[Event] = []
    for offset in range(MINUTES):
        for tenant in TENANTS:
            # One talks in bursts, and one falls silent for longer than any window.
            busy = generator.randrange(3) if tenant != "bolt" else generator.choice([0, 0, 0, 9])
            for _ in range(0 if tenant == "cyan" and 20 < offset < 50 else busy):
                events += _some(generator, tenant, MINUTE + offset)
    return events


def _some(generator: random.Random, tenant: str, minute: int) -> list[Event]:
    found = [
        interaction(
            generator.randrange(12),
            tenant,
            minute,
            agent_response=generator.choice(["yes", "yes", "yes", None]),
            processing_time_ms=float(round(generator.lognormvariate(7, 1.5))) if generator.random() < 0.95 else 0.0,
            model_used=generator.choice(["gpt-4o", "mini"]),
            estimated_cost=generator.choice([None, generator.randrange(1_000) / 1_000]),
            handoff_triggered=generator.random() < 0.3,
            token_usage={"prompt_tokens": generator.randrange(500), "completion_tokens": 3},
        )
    ]
    at = minute * 60.0
    if generator.random() < 0.5:
        scores = [generator.uniform(-1, 1)]
        found.append(event("knowledge_search", at, tenant, result_count=generator.randrange(3), similarity_scores=scores))
        error = generator.choice([None, None, "boom"])
        provider = generator.choice(["openai", "local"])
        found.append(
            event("llm_api_call", at, tenant, provider=provider, duration_ms=generator.randrange(1, 5_000), error=error)
        )
        found.append(event("user_metric", at, tenant, value=2, labels={"country": generator.choice(["de", "fr"])}))
        basket = {"name": "basket", "kind": Kind.HISTOGRAM, "value": generator.uniform(0, 90), "labels": {}}
        found.append(event("user_metric", at, tenant, **basket))
    return found


def compare(rule: Rule, start: int, end: int) -> int:
    """Every value and number of samples, to the last bit; returns how many values there were."""
    values = 0
    sweep = swept.Sweep(rule, start, end)
    frames = list(sweep)
    assert len(frames) == len(sweep)
    tenants = {tenant for frame in frames for tenant in frame.tenants}
    for frame in frames:
        for column, minute in enumerate(range(frame.start, frame.end)):
            seen = Windows(minute).measure(rule)
            assert set(seen) <= tenants
            for row, tenant in enumerate(frame.tenants):
                wanted = seen.get(tenant, NOTHING)
                assert frame.seen(row, column) == (wanted if wanted.samples else NOTHING), (rule, tenant, minute - MINUTE)
                values += wanted.value is not None
    return values


@pytest.fixture
def recorded() -> None:
    events = made()
    send(*events[::2])
    roll_up((MINUTE + MINUTES + 1) * 60.0)
    send(*events[1::2])  # late, so every minute was merged
    roll_up((MINUTE + MINUTES + 1) * 60.0)
    compact()  # the evaluation reads windows of an hour from hours, a sweep from minutes


def test_every_minute_of_a_sweep_is_what_the_evaluation_measures(recorded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(31)
    monkeypatch.setattr(swept, "_STEP", 17)  # frames that are shorter and longer than the windows
    monkeypatch.setattr(swept, "_CELLS", 40)  # tenants one after the other where the window is long
    for given in RULES:
        values = 0
        for scope in SCOPES:
            window = generator.choice([1, 2, 5, 16, 17, 18, 61])
            first = generator.randrange(15)
            rule = Rule(name="r", operator="gt", threshold=0.0, window=window, **given, **scope)
            values += compare(rule, MINUTE + first, MINUTE + first + generator.choice([1, 40]))
        assert values or given["metric"] == "feedback", given


def test_a_sweep_over_nothing_sees_nothing() -> None:
    rule = Rule(name="r", metric="response_time", statistic="p95", operator="gt", threshold=0.0)
    assert list(swept.Sweep(rule, MINUTE, MINUTE + 3)) == []


def test_more_members_than_are_counted_one_by_one_are_estimated_as_the_evaluation_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows around the border, and minutes that are no sets any more themselves."""
    monkeypatch.setattr(distinct, "EXACT", 20)
    for offset in range(12):
        size = 25 if offset == 6 else 6
        send(*[interaction(offset * 4 + n, "acme", MINUTE + offset) for n in range(size)])
    roll_up((MINUTE + 13) * 60.0)
    for window in (1, 3, 5, 9):
        rule = Rule(name="r", metric="conversations", statistic="count", operator="gt", threshold=0.0, window=window)
        assert compare(rule, MINUTE, MINUTE + 12) == 12


def test_frames_are_read_once(recorded: None, django_assert_num_queries: Any) -> None:
    rule = Rule(name="r", metric="response_time", statistic="p95", operator="gt", threshold=0.0)
    with django_assert_num_queries(1):  # its series; rows are read past Django
        assert len(list(swept.Sweep(rule, MINUTE, MINUTE + MINUTES))) == 1


def test_what_is_seen_is_none_where_there_is_no_value() -> None:
    send(*[interaction(n, "acme", MINUTE) for n in range(3)])
    roll_up()
    rule = Rule(name="r", metric="response_time", statistic="count", operator="gt", threshold=0.0, window=1)
    (frame,) = swept.Sweep(rule, MINUTE, MINUTE + 2)
    assert [frame.seen(0, column) for column in (0, 1)] == [Measured(3.0, 3), NOTHING]
    assert np.isnan(frame.values[0, 1])


CHANGES: tuple[dict[str, Any], ...] = (
    {"metric": "response_time", "statistic": "p95"},
    {"metric": "conversations", "statistic": "count"},
    {"metric": "cost", "statistic": "sum", "label_filter": {"model": "mini"}},
    {"metric": "cost_per_conversation", "statistic": "ratio"},
    {"metric": "handoff_rate", "statistic": "ratio"},
)


@pytest.mark.parametrize(("against", "minutes"), [("day", 1_440), ("week", 10_080)])
def test_a_change_is_seen_as_the_evaluation_measures_it(
    recorded: None, monkeypatch: pytest.MonkeyPatch, against: str, minutes: int
) -> None:
    """Before there was less: one tenant alone, and with gaps."""
    generator = random.Random(37)
    for offset in range(0, 40, 3):
        send(*_some(generator, "acme", MINUTE + offset - minutes), *_some(generator, "acme", MINUTE + offset - minutes))
    roll_up((MINUTE + MINUTES + 1) * 60.0)
    compact()
    monkeypatch.setattr(swept, "_STEP", 17)
    for given in CHANGES:
        for scope in SCOPES:
            window = generator.choice([1, 5, 61])
            rule = Rule(name="r", operator="gt", threshold=0.0, window=window, change_against=against, **given, **scope)
            values = compare(rule, MINUTE, MINUTE + 40)
            assert values or scope.get("tenant") == "bolt", (given, scope)


BUDGETS: tuple[dict[str, Any], ...] = (
    {"metric": "cost", "statistic": "sum"},
    {"metric": "cost", "statistic": "sum", "label_filter": {"model": "mini"}},
    {"metric": "cost", "statistic": "forecast", "window": 7},
    {"metric": "cost", "statistic": "forecast", "window": 61},
    {"metric": "cost", "statistic": "forecast", "window": 3_000},
    {"metric": "tokens", "statistic": "forecast", "window": 1},
    {"metric": "errors", "statistic": "count"},
    {"metric": "response_time", "statistic": "sum"},
)


@pytest.mark.parametrize("zone", ["UTC", "Atlantic/Cape_Verde"])  # a day that begins with the first minute, and one at the 61st
@pytest.mark.parametrize("budget", ["day", "month"])
def test_a_budget_is_seen_as_the_evaluation_measures_it(
    recorded: None, monkeypatch: pytest.MonkeyPatch, budget: str, zone: str
) -> None:
    send(*_some(random.Random(41), "acme", MINUTE - 900), *_some(random.Random(42), "bolt", MINUTE - 3 * 1_440))
    roll_up((MINUTE + MINUTES + 1) * 60.0)
    compact()
    monkeypatch.setattr(swept, "_STEP", 17)
    for given in BUDGETS:
        for scope in SCOPES:
            rule = Rule(name="r", operator="gt", threshold=0.0, budget=budget, time_zone=zone, **given, **scope)
            assert compare(rule, MINUTE + 40, MINUTE + 70), given


def test_series_that_a_test_of_rules_writes_are_seen_as_recorded_ones_are() -> None:
    """The same samples once through hot store and database, once in the notation of `rules test`."""
    generator = random.Random(43)
    spelled: dict[tuple[str, str], list[str]] = {}
    for offset in range(20):
        for tenant in TENANTS:
            times = [generator.randrange(1, 9_000) for _ in range(generator.choice([0, 1, 4]))]
            costs = [generator.randrange(1, 1_000) / 1_000 for _ in times]
            for number, (ms, dollars) in enumerate(zip(times, costs, strict=True)):
                own = {"processing_time_ms": float(ms), "estimated_cost": dollars, "model_used": "mini"}
                send(interaction(offset * 10 + number, tenant, MINUTE + offset, handoff_triggered=False, **own))
            for metric, values in {
                "response_time": "|".join(map(str, times)),
                'cost{model="mini"}': "|".join(map(str, costs)),
                "interactions": str(len(times)),
                "conversations": str(len(times)),
            }.items():
                spelled.setdefault((metric, tenant), []).append(values if times else "_")
    roll_up((MINUTE + 21) * 60.0)
    source = Source(
        [
            series(f'{name}{{tenant="{tenant}"{"," + rest if rest else "}"}', " ".join(values), MINUTE, Kind.HISTOGRAM, number)
            for number, ((metric, tenant), values) in enumerate(spelled.items())
            for name, _, rest in [metric.partition("{")]
        ]
    )
    for given in (
        *(
            {"metric": "response_time", "statistic": name}
            for name in ("p50", "p99", "mean", "min", "max", "sum", "count", "rate")
        ),
        {"metric": "cost", "statistic": "sum", "label_filter": {"model": "mini"}},
        {"metric": "cost", "statistic": "forecast", "budget": "day"},
        {"metric": "interactions", "statistic": "count"},
        {"metric": "conversations", "statistic": "count"},
        {"metric": "cost_per_conversation", "statistic": "ratio"},
    ):
        for scope in SCOPES:
            rule = Rule(name="r", operator="gt", threshold=0.0, window=3, **given, **scope)
            recorded, written = (list(swept.Sweep(rule, MINUTE, MINUTE + 20, own)) for own in (None, source))
            for one, other in zip(recorded, written, strict=True):
                assert one.tenants == other.tenants
                np.testing.assert_array_equal(one.values, other.values)
                np.testing.assert_array_equal(one.samples, other.samples)
                np.testing.assert_array_equal(one.known, other.known)
