"""A calm day breaks no default rule; each incident breaks its own, soon, for its tenant only."""

from __future__ import annotations

from functools import cache

import pytest

from apps.monitoring.alerts.defaults import DEFAULT_RULES
from apps.monitoring.demo.incidents import INCIDENTS
from apps.monitoring.demo.parameters import TENANTS
from tests.unit.demo.judge import RULES, breaches
from tests.unit.demo.ledger import Ledger, minutes_of_traffic, outbreak_of

BEGINS, LASTS = 12, 4
NOTICED_WITHIN = {
    "slow-provider": 1,
    "provider-errors": 2,
    "handoff-storm": 4,
    "empty-knowledge-base": 4,
    "cost-spike": 3,
}
"""Minutes from the beginning of an incident to the first minute that its rule is broken in."""


@cache
def calm(seed: int) -> Ledger:
    """Half an hour without an incident; looked at by several tests, changed by none."""
    return minutes_of_traffic(seed)[0]


def test_the_default_rules_are_the_ones_judged_here() -> None:
    assert {rule["name"] for rule in DEFAULT_RULES} - {"model-price-unknown"} == set(RULES)
    assert {incident.rule for incident in INCIDENTS.values()} <= set(RULES)


@pytest.mark.parametrize("seed", range(1, 11))
def test_half_an_hour_without_an_incident_breaks_no_rule(seed: int) -> None:
    assert breaches(calm(seed), 30, TENANTS) == {}


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("name", sorted(INCIDENTS))
def test_an_incident_breaks_its_rule_within_minutes_and_for_its_tenant_only(name: str, seed: int) -> None:
    ledger, _ = minutes_of_traffic(seed, outbreak=outbreak_of(name, BEGINS, LASTS))
    broken = breaches(ledger, 30, TENANTS)
    assert {tenant for _, tenant in broken} == {"airline"}
    minutes = broken[INCIDENTS[name].rule, "airline"]
    assert BEGINS <= minutes[0] <= BEGINS + NOTICED_WITHIN[name]
    # The answers under way at its end, and a window, and it is over.
    assert minutes[-1] <= BEGINS + LASTS + 6


@pytest.mark.parametrize("tenant", TENANTS)
def test_every_tenant_notices_a_slow_provider_in_the_first_minute(tenant: str) -> None:
    ledger, _ = minutes_of_traffic(4, 14, outbreak=outbreak_of("slow-provider", BEGINS, LASTS, tenant))
    assert breaches(ledger, 14, TENANTS)["response-time-p95", tenant] == [BEGINS, BEGINS + 1]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_windows_hold_more_samples_than_the_rules_need(seed: int) -> None:
    for tenant in TENANTS:
        told = calm(seed).of("interaction", tenant)
        assert min(sum(minute - 5 < each.minute <= minute for each in told) for minute in range(1, 30)) >= 10
