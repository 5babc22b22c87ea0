"""What the dashboard answers, and to whom."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.monitoring.alerts.silences import expire
from apps.monitoring.models import MuteWindow, Series
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


@pytest.mark.usefixtures("stores")
def test_what_fires_says_what_would_hold_back_a_notification_now() -> None:
    looking, now = rows.staff("view_alert"), timezone.now()
    rows.fire(rows.rule("slow"), "acme"), rows.fire(rows.rule("dear"), "acme"), rows.fire(rows.rule("sad"), "other")
    silence = rows.silence("acme", rules=["slow"], starts_at=now - timedelta(minutes=5), ends_at=now + timedelta(hours=1))
    rows.silence("acme", starts_at=now - timedelta(hours=2), ends_at=now - timedelta(minutes=1))
    rows.silence("acme", starts_at=now + timedelta(minutes=2), ends_at=now + timedelta(hours=1))
    MuteWindow.objects.create(name="always", tenants=["other"], starts=time(0, 0), ends=time(0, 0), time_zone="UTC")

    def held() -> dict[str, str | None]:
        return {one["rule"]: one["held"] for one in ask(looking)[1]["firing"]}

    found = held()
    assert found["slow"] == f"silence {silence.pk} until {silence.ends_at:%Y-%m-%dT%H:%M:00Z}"
    assert found["dear"] is None
    assert str(found["sad"]).startswith("mute window always")
    assert expire(silence, timezone.now())
    assert held()["slow"] is None
