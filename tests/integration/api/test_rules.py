"""`/api/v1/rules`: what the admin does, for programs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, AuditEntry, Channel
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import RULE, fire, rule, send

pytestmark = pytest.mark.django_db
commits = pytest.mark.django_db(transaction=True)


def test_a_rule_is_made_read_changed_and_deleted(writer: Client) -> None:
    Channel.objects.create(name="ops", kind="log")
    made = send(writer, "POST", "rules", {**RULE, "channels": ["ops"], "for_minutes": 3})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["window_minutes"], body["unit"], body["channels"]) == (5, "ms", ["ops"])
    assert body["condition"] == "p95 of response_time > 5 s over 5 minutes"
    one = f"rules/{body['id']}"
    assert writer.get(f"/api/v1/{one}").json() == body
    changed = send(writer, "PATCH", one, {"threshold": 6_000, "channels": []}).json()
    assert (changed["threshold"], changed["channels"], changed["for_minutes"]) == (6_000, [], 3)
    assert send(writer, "PUT", one, {**RULE, "enabled": False}).json()["enabled"] is False
    assert send(writer, "DELETE", one).status_code == 204
    problem(writer.get(f"/api/v1/{one}"), 404)


def test_what_was_read_can_be_written_back(writer: Client) -> None:
    made = send(writer, "POST", "rules", RULE).json()
    again = send(writer, "PUT", f"rules/{made['id']}", made)
    assert again.status_code == 200
    assert {**again.json(), "updated_at": None} == {**made, "updated_at": None}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no such metric": ({"metric": "pigeons"}, "metric"),
    "a statistic that does not suit": ({"statistic": "ratio"}, "statistic"),
    "no such statistic": ({"statistic": "p101"}, "statistic"),
    "no tenant": ({"scope": "one_tenant"}, "tenant"),
    "a window too long": ({"window_minutes": 99_999_999}, "window_minutes"),
    "no window": ({"window_minutes": 0}, "window_minutes"),
    "a recovery on the wrong side": ({"recovery_threshold": 9_000}, "recovery_threshold"),
    "no threshold": ({"threshold": None}, "threshold"),
    "not a number": ({"threshold": "NaN"}, "threshold"),
    "a label that there is not": ({"label_filter": {"planet": "mars"}}, "label_filter"),
    "no filter": ({"label_filter": ["model"]}, "label_filter"),
    "no such placeholder": ({"message_template": "{secret}"}, "message_template"),
    "an attribute in the template": ({"message_template": "{rule.__class__}"}, "message_template"),
    "no slug": ({"name": "not a slug"}, "name"),
    "no such channel": ({"channels": ["nobody"]}, "channels"),
    "no address": ({"runbook_url": "javascript:alert(1)"}, "runbook_url"),
    "no such field": ({"treshold": 5}, "treshold"),
}


@pytest.mark.parametrize(("more", "field"), WRONG.values(), ids=WRONG.keys())
def test_what_cannot_work_is_refused_beside_the_field(writer: Client, more: dict[str, Any], field: str) -> None:
    refused = send(writer, "POST", "rules", {**RULE, **more})
    problem(refused, 400)
    assert set(refused.json()["errors"]) == {field}
    assert not AlertRule.objects.exists()
    rule("other")
    problem(send(writer, "PATCH", f"rules/{AlertRule.objects.get().pk}", more), 400)


def test_the_reasons_are_those_of_the_model(writer: Client) -> None:
    reasons = send(writer, "POST", "rules", {**RULE, "statistic": "ratio"}).json()["errors"]
    assert reasons == {
        "statistic": ["response_time is a histogram, it has count, max, mean, min, p50, p95, p99, rate, sum, not ratio"]
    }


def test_a_name_is_taken_once(writer: Client) -> None:
    rule()
    assert set(send(writer, "POST", "rules", RULE).json()["errors"]) == {"name"}


@commits
def test_the_audit_names_the_token(writer: Client) -> None:
    made = send(writer, "POST", "rules", RULE).json()["id"]
    send(writer, "PATCH", f"rules/{made}", {"threshold": 6_000})
    send(writer, "DELETE", f"rules/{made}")
    entries = AuditEntry.objects.order_by("at")
    assert [(one.actor, one.action) for one in entries] == [
        ("token a test", "created"), ("token a test", "changed"), ("token a test", "deleted"),
    ]  # fmt: skip
    assert entries[1].changes() == [("threshold", 5_000.0, 6_000.0)]


def test_a_rule_that_fires_ends_what_it_has_open_when_it_is_deleted(writer: Client) -> None:
    fires = rule()
    alert = fire(fires, "airline")
    assert send(writer, "DELETE", f"rules/{fires.pk}").status_code == 204
    assert Alert.objects.get(pk=alert.pk).resolved_at is not None
    assert AlertTransition.objects.latest("id").reason == "the rule was deleted"
    assert not AlertState.objects.exists()
    assert send(writer, "DELETE", f"rules/{fires.pk}").status_code == 404


@commits
def test_two_edits_at_once_lose_neither(writer: Client) -> None:
    one = rule()
    fields = ("threshold", "window_minutes", "min_samples", "cooldown_minutes", "for_minutes", "keep_firing_for_minutes")

    def edit(field: str) -> int:
        try:
            return int(send(bearer(can_write=True), "PATCH", f"rules/{one.pk}", {field: 7}).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(fields)) as pool:
        assert set(pool.map(edit, fields)) == {200}
    after = AlertRule.objects.get()
    assert {field: getattr(after, field) for field in fields} == dict.fromkeys(fields, 7)


@commits
def test_the_same_name_at_once_is_made_once() -> None:
    def make(_: int) -> int:
        try:
            return int(send(bearer(can_write=True), "POST", "rules", RULE).status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        codes = sorted(pool.map(make, range(4)))
    assert codes[0] == 201
    assert set(codes[1:]) <= {400, 409}


class TestTheList:
    def test_it_comes_in_pages_that_lead_on_and_back(self, reader: Client) -> None:
        for number in range(5):
            rule(f"rule-{number}")
        first = reader.get("/api/v1/rules", {"page_size": 2}).json()
        second = reader.get(first["next"]).json()
        third = reader.get(second["next"]).json()
        names = [[row["name"] for row in page["results"]] for page in (first, second, third)]
        assert names == [["rule-0", "rule-1"], ["rule-2", "rule-3"], ["rule-4"]]
        assert (first["previous"], third["next"]) == (None, None)
        assert reader.get(third["previous"]).json()["results"] == second["results"]

    def test_one_is_found_by_its_name(self, reader: Client) -> None:
        rule("a")
        rule("b")
        assert [row["name"] for row in reader.get("/api/v1/rules", {"name": "b"}).json()["results"]] == ["b"]

    @pytest.mark.parametrize("cursor", ["x", "cD1hAGI=", "cD0lMDA=", "bz05OTk5OTk5OTk5OTk5", "é", "cj14", ""])
    def test_a_cursor_from_nowhere_is_no_fault_of_ours(self, reader: Client, cursor: str) -> None:
        rule()
        assert reader.get("/api/v1/rules", {"cursor": cursor}).status_code in {200, 404}
        assert reader.get("/api/v1/alerts", {"cursor": cursor}).status_code in {200, 404}

    def test_channels_of_all_rules_are_read_at_once(self, reader: Client, django_assert_max_num_queries: Any) -> None:
        for number in range(20):
            rule(f"rule-{number}").channels.add(Channel.objects.create(name=f"c{number}", kind="log"))
        with django_assert_max_num_queries(5):
            assert len(reader.get("/api/v1/rules").json()["results"]) == 20


def test_a_slash_at_the_end_is_told(writer: Client) -> None:
    for method in ("GET", "POST"):
        assert "slash" in problem(send(writer, method, "rules/", RULE), 404)
