"""Parameters that there are not."""

from __future__ import annotations

import pytest
from django.test import Client

from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import rule

LISTS = ("alerts", "rules", "channels", "silences", "mute-windows")


@pytest.mark.parametrize("path", ["metrics/summary", "metrics/series?metric=cost", *LISTS])
def test_who_misspells_the_tenant_is_not_answered_with_all_of_them(everyone: Client, path: str) -> None:
    answer = everyone.get(f"/api/v1/{path}{'&' if '?' in path else '?'}tenent=airline")
    problem(answer, 400)
    (said,) = answer.json()["errors"]["tenent"]
    assert said.startswith("There is no such parameter; there are ")


@pytest.mark.django_db
def test_a_row_is_asked_for_by_nothing_but_its_number(reader: Client) -> None:
    one = rule()
    assert reader.get(f"/api/v1/rules/{one.pk}").status_code == 200
    problem(reader.get(f"/api/v1/rules/{one.pk}?name=slow"), 400)


@pytest.mark.parametrize("path", LISTS)
def test_pages_are_asked_for_everywhere(reader: Client, path: str) -> None:
    assert reader.get(f"/api/v1/{path}?page_size=3").status_code == 200


@pytest.mark.django_db
def test_what_another_tenant_has_is_refused_before_anything_else() -> None:
    problem(bearer("airline").get("/api/v1/metrics/summary?tenant=retail&tenent=airline"), 403)
