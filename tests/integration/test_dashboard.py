"""What the dashboard answers, and to whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.monitoring.models import Series
from tests.integration.api import rows

SECRET = "the-rule-that-is-not-for-everybody"


def ask(client: Client, query: str = "") -> Any:
    answer = client.get(f"/dashboard/data{query}")
    return answer.status_code, answer.json(), answer.content.decode() + client.get(f"/dashboard/{query}").content.decode()


@pytest.mark.usefixtures("stores")
@pytest.mark.parametrize("permissions", [(), ("view_alertrule", "change_alert")], ids=["none", "others"])
@pytest.mark.parametrize("query", ["", "?tenant=acme", "?tenant=nobody"])
def test_alerts_are_for_those_who_may_view_them(permissions: tuple[str, ...], query: str) -> None:
    rows.fire(rows.rule(SECRET), "acme")
    Series.objects.create(tenant="acme", metric="interactions")
    _, seen, page = ask(rows.staff("view_alert"), query)
    told = query != "?tenant=nobody"
    assert (len(seen["firing"]), len(seen["history"]), seen["hidden"], SECRET in page) == (told, told, "", told)
    clerk = rows.staff(*permissions)
    assert rows.send(clerk, "GET", "alerts").status_code == 403
    status, unseen, page = ask(clerk, query)
    assert (unseen["firing"], unseen["history"]) == (None, None), "nothing is told, not that nothing fires"
    assert "Can view alert" in unseen["hidden"]
    assert SECRET not in page
    assert (status, unseen["tenants"]) == (200 if told else 404, ["acme"]), "the numbers are for all staff"
    assert ("summary" in unseen) == told
