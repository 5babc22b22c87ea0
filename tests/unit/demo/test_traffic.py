"""Traffic is made by a seed, comes in the order of time and at the rate asked for."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from apps.monitoring.demo.parameters import TENANTS
from apps.monitoring.demo.traffic import Traffic
from tests.unit.demo.ledger import START, Ledger, minutes_of_traffic, outbreak_of


def same(ledger: Ledger) -> list[str]:
    return [f"{told.method} {told.tenant} {told.said}" for told in ledger.calls]


def test_the_same_seed_makes_the_same_traffic_and_another_seed_another() -> None:
    one, again, other = (same(minutes_of_traffic(seed, 5)[0]) for seed in (7, 7, 8))
    assert one == again
    assert one != other


def test_another_start_makes_the_same_talks_under_other_ids() -> None:
    later = Ledger()
    for _ in Traffic(rate=90, seed=7, monitors=later.monitor).run(START + 3_600, START + 3_900):
        pass
    ledger, _ = minutes_of_traffic(7, 5)
    said = [(told.said["customer_message"], told.said["model_used"]) for told in ledger.of("interaction")]
    assert said == [(told.said["customer_message"], told.said["model_used"]) for told in later.of("interaction")]
    ids, later_ids = ({told.said["conversation_id"] for told in each.of("interaction")} for each in (ledger, later))
    assert ids.isdisjoint(later_ids)


def test_everything_happens_in_the_order_of_time_and_inside_the_range() -> None:
    ledger, _ = minutes_of_traffic(1, 10, outbreak=outbreak_of("slow-provider", 2, 4))
    times = [told.said["timestamp"] for told in ledger.calls]
    assert all(before <= after for before, after in pairwise(times))
    assert times[0] >= START
    assert times[-1] < START + 600


def test_the_driver_is_told_each_moment_before_anything_of_it_happens() -> None:
    ledger = Ledger()
    seen = 0
    for at in Traffic(rate=90, seed=3, monitors=ledger.monitor).run(START, START + 300):
        assert all(told.said["timestamp"] <= at for told in ledger.calls[seen:])
        seen = len(ledger.calls)


def test_a_second_run_goes_on_where_the_first_ended() -> None:
    whole, _ = minutes_of_traffic(5, 10)
    parts = Ledger()
    traffic = Traffic(rate=90, seed=5, monitors=parts.monitor)
    for start, end in ((START, START + 200), (START + 200, START + 600)):
        for _ in traffic.run(start, end):
            pass
    assert same(parts) == same(whole)


def test_it_counts_what_it_told() -> None:
    ledger, traffic = minutes_of_traffic(2, 10)
    told = ledger.of("interaction")
    assert traffic.interactions == len(told)
    assert traffic.conversations == len({each.said["conversation_id"] for each in told})


@pytest.mark.parametrize("rate", [30, 90, 240])
def test_the_rate_is_kept_from_the_first_minute_on_and_shared_by_the_tenants(rate: int) -> None:
    runs = [minutes_of_traffic(seed, 10, rate=rate)[0].of("interaction") for seed in range(5)]
    by_minute = Counter(told.minute for run in runs for told in run)
    assert sum(by_minute.values()) / 50 == pytest.approx(rate, rel=0.1)
    assert by_minute[0] / 5 == pytest.approx(rate, rel=0.25)
    by_tenant = Counter(told.tenant for run in runs for told in run)
    for tenant in TENANTS:
        assert by_tenant[tenant] / 50 == pytest.approx(rate / 3, rel=0.2)


def test_only_the_tenants_asked_for_have_customers() -> None:
    ledger, _ = minutes_of_traffic(1, 5, tenants=("retail",))
    assert {told.tenant for told in ledger.calls} == {"retail"}


def test_conversations_have_several_turns_and_some_are_rated() -> None:
    ledger, _ = minutes_of_traffic(1)
    turns = Counter(told.said["conversation_id"] for told in ledger.of("interaction"))
    assert sum(count > 2 for count in turns.values()) > len(turns) / 2
    stars = [told.said["score"] for told in ledger.of("feedback")]
    assert len(stars) > 20
    assert set(stars) <= {1.0, 2.0, 3.0, 4.0, 5.0}
    assert {told.said["conversation_id"] for told in ledger.of("feedback")} <= set(turns)


def test_what_fails_outside_an_interaction_is_told_as_an_error() -> None:
    errors = minutes_of_traffic(1)[0].of("record_error")
    assert errors
    assert {told.said["positional"][0] for told in errors} == {"survey"}
