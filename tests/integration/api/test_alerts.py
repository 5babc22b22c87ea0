"""`/api/v1/alerts`: what fired, why, and who looks after it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.monitoring.models import Alert, AlertState, AlertTransition
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import MOMENT, fire, rule, send, staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def alerts(db: None) -> dict[str, Alert]:
    slow, dear = rule("slow"), rule("dear", severity="critical", scope="global")
    return {
        "airline": fire(slow, "airline"),
        "retail": fire(slow, "retail", at=MOMENT + timedelta(minutes=5), acknowledged_at=MOMENT, acknowledgement_note="mine"),
        "ended": fire(slow, "airline", at=MOMENT - timedelta(days=1), resolved_at=MOMENT),
        "all": fire(dear, "", at=MOMENT + timedelta(minutes=9)),
    }


def listed(client: Client, **query: str) -> list[int]:
    answer = client.get("/api/v1/alerts", query)
    assert answer.status_code == 200, answer.content
    return sorted(row["id"] for row in answer.json()["results"])


CHOICES: dict[str, tuple[dict[str, str], set[str]]] = {
    "all of them": ({}, {"airline", "retail", "ended", "all"}),
    "firing": ({"state": "firing"}, {"airline", "retail", "all"}),
    "resolved": ({"state": "resolved"}, {"ended"}),
    "acknowledged": ({"acknowledged": "true"}, {"retail"}),
    "waiting": ({"state": "firing", "acknowledged": "false"}, {"airline", "all"}),
    "of a rule": ({"rule": "dear"}, {"all"}),
    "of a tenant": ({"tenant": "airline"}, {"airline", "ended"}),
    "of all together": ({"tenant": ""}, {"all"}),
    "of a severity": ({"severity": "critical"}, {"all"}),
    "since": ({"since": "2026-01-05T00:05:00Z"}, {"retail", "all"}),
    "since, in another zone": ({"since": "2026-01-05T01:05:00+01:00"}, {"retail", "all"}),
    "of nobody": ({"tenant": "nobody"}, set()),
    "both": ({"tenant": "airline", "state": "firing"}, {"airline"}),
}


@pytest.mark.parametrize(("query", "names"), CHOICES.values(), ids=CHOICES.keys())
def test_a_list_is_what_was_asked_for(reader: Client, alerts: dict[str, Alert], query: dict[str, str], names: set[str]) -> None:
    assert listed(reader, **query) == sorted(alerts[name].pk for name in names)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"state": "burning"}, "state"),
        ({"acknowledged": "perhaps"}, "acknowledged"),
        ({"severity": "awful"}, "severity"),
        ({"since": "yesterday"}, "since"),
        ({"since": "2026-01-05T00:00:00"}, "since"),
        ({"rule": "\x00"}, "rule"),
    ],
)
def test_what_cannot_be_asked_is_said_by_parameter(reader: Client, query: dict[str, str], field: str) -> None:
    refused = reader.get("/api/v1/alerts", query)
    problem(refused, 400)
    assert set(refused.json()["errors"]) == {field}


def test_many_alerts_of_one_minute_are_all_listed_once(reader: Client) -> None:
    slow = rule()
    Alert.objects.bulk_create(
        Alert(rule=slow, rule_name="slow", tenant=f"t{number}", severity="warning", since=MOMENT, fired_at=MOMENT, threshold=1)
        for number in range(1_234)
    )
    seen: list[int] = []
    page: str | None = "/api/v1/alerts?page_size=500"
    while page:
        body = reader.get(page).json()
        seen += [row["id"] for row in body["results"]]
        page = body["next"]
    assert len(seen) == len(set(seen)) == 1_234


def test_one_alert_comes_with_its_history(reader: Client, alerts: dict[str, Alert]) -> None:
    alert = alerts["airline"]
    AlertTransition.objects.create(
        rule=alert.rule, rule_name="slow", tenant="airline", minute=MOMENT + timedelta(minutes=15), state="firing",
        event="reminder", value=7_000, samples=9, notified=False, reason="acknowledged", alert=alert,
    )  # fmt: skip
    body = reader.get(f"/api/v1/alerts/{alert.pk}").json()
    assert (body["rule_name"], body["tenant"], body["state"], body["value"]) == ("slow", "airline", "firing", 6_000.0)
    assert body["transitions"] == [
        {"minute": "2026-01-05T00:00:00Z", "event": "transition", "state": "firing", "value": 6_000.0, "samples": 12,
         "notified": True, "reason": "6000 > 5000"},
        {"minute": "2026-01-05T00:15:00Z", "event": "reminder", "state": "firing", "value": 7_000.0, "samples": 9,
         "notified": False, "reason": "acknowledged"},
    ]  # fmt: skip
    assert reader.get(f"/api/v1/alerts/{alerts['all'].pk}").json()["tenant"] is None


def test_nothing_of_an_alert_is_edited(writer: Client, alerts: dict[str, Alert]) -> None:
    for method in ("PUT", "PATCH", "DELETE"):
        problem(send(writer, method, f"alerts/{alerts['airline'].pk}", {}), 405)
    problem(send(writer, "POST", "alerts", {}), 405)


class TestAcknowledging:
    def test_a_token_leaves_its_name_in_the_note(self, writer: Client, alerts: dict[str, Alert]) -> None:
        alert = alerts["airline"]
        answer = send(writer, "POST", f"alerts/{alert.pk}/acknowledge", {"note": " on it "})
        assert answer.status_code == 200, answer.content
        body = answer.json()
        assert (body["acknowledged_by"], body["acknowledgement_note"]) == (None, "By token a test. on it")
        assert body["acknowledged_at"] is not None
        assert AlertState.objects.get(alert=alert).acknowledged

    def test_a_user_is_who_acknowledged(self, alerts: dict[str, Alert]) -> None:
        clerk = staff("view_alert", "change_alert")
        body = send(clerk, "POST", f"alerts/{alerts['airline'].pk}/acknowledge").json()
        assert body["acknowledged_by"].startswith("clerk")
        assert body["acknowledgement_note"] == ""

    @pytest.mark.parametrize(("name", "why"), [("ended", "resolved"), ("retail", "already")])
    def test_what_has_ended_or_is_looked_after_is_a_conflict(
        self, writer: Client, alerts: dict[str, Alert], name: str, why: str
    ) -> None:
        assert why in problem(send(writer, "POST", f"alerts/{alerts[name].pk}/acknowledge"), 409)
        assert Alert.objects.get(pk=alerts["retail"].pk).acknowledgement_note == "mine"

    @pytest.mark.parametrize("body", [{"note": "x" * 501}, {"note": ["a"]}, {"note": None}, [], "note"])
    def test_a_note_is_a_text_of_bounded_length(self, writer: Client, alerts: dict[str, Alert], body: Any) -> None:
        problem(send(writer, "POST", f"alerts/{alerts['airline'].pk}/acknowledge", body), 400)


def test_a_tenant_does_not_read_what_colleagues_wrote(alerts: dict[str, Alert]) -> None:
    Alert.objects.update(acknowledged_at=timezone.now(), acknowledgement_note="retail is slow, too")
    shown = bearer("airline").get("/api/v1/alerts")
    assert "retail" not in shown.content.decode()
    assert all(row["acknowledged_at"] for row in shown.json()["results"])
