"""A token bound to a tenant sees that tenant and nothing else."""

from __future__ import annotations

from django.test import Client

from tests.integration.api.conftest import Record, bearer
from tests.integration.api.problems import problem

SUMMARY = "/api/v1/metrics/summary"


def seen(client: Client, **query: str) -> tuple[str | None, int]:
    """Whose numbers, and how many interactions."""
    body = client.get(SUMMARY, query).json()
    return body["tenant"], body["interactions"]["total"]


def test_a_free_token_sees_every_tenant_and_all_together(everyone: Client, record: Record) -> None:
    record("airline", 3)
    record("retail", 4)
    assert seen(everyone) == (None, 7)
    assert seen(everyone, tenant="") == (None, 7)
    assert seen(everyone, tenant="airline") == ("airline", 3)
    assert seen(everyone, tenant="retail") == ("retail", 4)


def test_a_bound_token_sees_its_own_tenant_whether_it_names_it_or_not(airline: Client, record: Record) -> None:
    record("airline", 3)
    record("retail", 4)
    assert seen(airline) == ("airline", 3)
    assert seen(airline, tenant="") == ("airline", 3)
    assert seen(airline, tenant="airline") == ("airline", 3)


def test_another_tenant_is_refused_in_the_same_words_whether_it_exists_or_not(airline: Client, record: Record) -> None:
    record("retail")
    exists, does_not = (problem(airline.get(SUMMARY, {"tenant": name}), 403) for name in ("retail", "nobody"))
    assert exists == does_not
    assert "retail" not in exists


def test_a_refusal_comes_before_any_other_complaint(airline: Client, record: Record) -> None:
    record("retail")
    problem(airline.get(SUMMARY, {"tenant": "retail", "window": "nonsense"}), 403)


def test_names_that_only_look_alike_are_other_tenants(airline: Client, record: Record) -> None:
    record("airline")
    for name in ("Airline", "airline ", " airline", "airline\x00", "airlin%", "airline'--", "*"):
        problem(airline.get(SUMMARY, {"tenant": name}), 403)


def test_the_last_of_two_tenants_is_the_one_that_is_judged_and_read(airline: Client, record: Record) -> None:
    record("airline", 2)
    record("retail", 5)
    problem(airline.get(f"{SUMMARY}?tenant=airline&tenant=retail"), 403)
    assert airline.get(f"{SUMMARY}?tenant=retail&tenant=airline").json()["interactions"]["total"] == 2


def test_a_tenant_that_never_recorded_anything_is_not_found(everyone: Client) -> None:
    assert "'nobody'" in problem(everyone.get(SUMMARY, {"tenant": "nobody"}), 404)
    problem(everyone.get(SUMMARY, {"tenant": "\x00"}), 404)
    problem(everyone.get(SUMMARY, {"tenant": "x" * 5_000}), 404)
    problem(bearer("nobody").get(SUMMARY), 404)
