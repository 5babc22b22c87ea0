"""`/api/v1/silences` and `/api/v1/mute-windows`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from apps.monitoring.models import AuditEntry, MuteWindow, Silence
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import send, silence

pytestmark = pytest.mark.django_db

WANTED: dict[str, Any] = {"rules": ["error-rate*"], "tenants": ["airline"], "comment": "a deployment"}
WINDOW: dict[str, Any] = {"name": "backup", "rules": ["slow"], "starts": "02:00", "ends": "04:00"}


def stamp(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def test_a_silence_is_made_and_says_who_made_it(writer: Client) -> None:
    made = send(writer, "POST", "silences", {**WANTED, "ends_at": stamp(hours=3)})
    assert made.status_code == 201, made.content
    body = made.json()
    assert (body["author"], body["state"], body["tenants"]) == ("token a test", "active", ["airline"])
    assert body["ends_at"].endswith(":00Z")  # in whole minutes
    assert writer.get(f"/api/v1/silences/{body['id']}").json() == body


def test_nobody_makes_a_silence_in_the_name_of_another(writer: Client) -> None:
    assert send(writer, "POST", "silences", {**WANTED, "author": "the boss"}).json()["author"] == "token a test"


@pytest.mark.parametrize("field", ["rules", "tenants"])
def test_a_list_is_of_a_hundred_names(writer: Client, field: str) -> None:
    """Every minute each rule is compared with all of them."""
    names = [f"n{number}" for number in range(101)]
    assert send(writer, "POST", "silences", {**WANTED, field: names[:100], "ends_at": stamp(hours=1)}).status_code == 201
    refused = send(writer, "POST", "silences", {**WANTED, field: names, "ends_at": stamp(hours=1)})
    problem(refused, 400)
    assert "101 names" in refused.json()["errors"][field][0]


def test_a_comment_has_an_end(writer: Client) -> None:
    refused = send(writer, "POST", "silences", {**WANTED, "comment": "x" * 2_001, "ends_at": stamp(hours=1)})
    problem(refused, 400)
    assert "2,001 characters" in refused.json()["errors"]["comment"][0]


def test_it_is_changed_while_it_lasts(writer: Client) -> None:
    one = silence("airline")
    longer = stamp(hours=9)
    assert send(writer, "PATCH", f"silences/{one.pk}", {"ends_at": longer}).status_code == 200
    assert Silence.objects.get().ends_at > datetime.now(UTC) + timedelta(hours=8)
    assert Silence.objects.get().author == "anna"


def test_deleting_ends_it_and_it_stays(writer: Client) -> None:
    one = silence("airline")
    for _ in range(2):
        assert send(writer, "DELETE", f"silences/{one.pk}").status_code == 204
    body = writer.get(f"/api/v1/silences/{one.pk}").json()
    assert (body["state"], body["comment"]) == ("expired", "why")
    assert [row["id"] for row in writer.get("/api/v1/silences").json()["results"]] == [one.pk]
    problem(send(writer, "PATCH", f"silences/{one.pk}", {"ends_at": stamp(hours=9)}), 409)


@pytest.mark.django_db(transaction=True)
def test_its_end_is_in_the_audit_with_the_tokens_name(writer: Client) -> None:
    one = silence("airline")
    send(writer, "DELETE", f"silences/{one.pk}")
    entry = AuditEntry.objects.latest("at")
    assert (entry.kind, entry.actor, [name for name, _, _ in entry.changes()]) == ("silence", "token a test", ["ends_at"])


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"rules": [], "tenants": []}, "non_field_errors"),
        ({"severities": ["awful"]}, "severities"),
        ({"ends_at": "2026-01-05T00:00:00Z"}, "ends_at"),
        ({"ends_at": "2099-01-05T00:00:00"}, "ends_at"),
        ({"ends_at": "tomorrow"}, "ends_at"),
        ({"comment": ""}, "comment"),
        ({"tenants": "airline"}, "tenants"),
        ({"tenants": ["a" * 500]}, "tenants"),
    ],
)
def test_what_would_hold_nothing_back_is_refused(writer: Client, more: dict[str, Any], field: str) -> None:
    refused = send(writer, "POST", "silences", {**WANTED, **more})
    problem(refused, 400)
    assert set(refused.json()["errors"]) == {field}


class TestOfOneTenant:
    def test_it_makes_one_that_names_itself_whether_it_says_so_or_not(self) -> None:
        airline = bearer("airline", can_write=True)
        for given in ({}, {"tenants": []}, {"tenants": ["airline"]}):
            made = send(airline, "POST", "silences", {"comment": "why", "rules": ["slow"], **given})
            assert made.status_code == 201, made.content
            assert made.json()["tenants"] == ["airline"]

    @pytest.mark.parametrize("tenants", [["retail"], ["nobody"], ["airline", "retail"], ["*"], ["air*"]])
    def test_it_makes_none_that_means_anybody_else(self, tenants: list[str]) -> None:
        airline = bearer("airline", can_write=True)
        one = silence("airline")
        for method, path in (("POST", "silences"), ("PATCH", f"silences/{one.pk}"), ("PUT", f"silences/{one.pk}")):
            refused = send(airline, method, path, {"comment": "why", "tenants": tenants})
            assert problem(refused, 403) == "The token is bound to another tenant."
        assert Silence.objects.get().tenants == ["airline"]

    def test_it_reads_what_it_wrote_and_not_what_colleagues_wrote(self) -> None:
        silence("airline", author="anna.boss", comment="as with birch: their contract ends")
        airline = bearer("airline", can_write=True)
        send(airline, "POST", "silences", {"rules": ["slow"], "comment": "we move", "ends_at": stamp(hours=2)})
        seen = airline.get("/api/v1/silences").json()["results"]
        assert [(one["author"], one["comment"]) for one in seen] == [("token a test", "we move"), ("", "")]
        assert "birch" in str(bearer().get("/api/v1/silences").json())

    def test_there_is_room_for_a_hundred_that_are_not_over(self) -> None:
        airline = bearer("airline", can_write=True)
        wanted = {"rules": ["slow"], "comment": "x", "ends_at": stamp(hours=2)}
        made = [send(airline, "POST", "silences", wanted) for _ in range(101)]
        assert [one.status_code for one in made] == [201] * 100 + [409]
        assert "100 silences" in problem(made[-1], 409)
        assert send(bearer("other", can_write=True), "POST", "silences", wanted).status_code == 201
        assert send(airline, "DELETE", f"silences/{made[0].json()['id']}").status_code < 300
        assert send(airline, "POST", "silences", wanted).status_code == 201

    def test_a_name_that_a_silence_would_take_for_more_sees_and_makes_none(self) -> None:
        silence("air*")
        odd = bearer("air*", can_write=True)
        assert odd.get("/api/v1/silences").json()["results"] == []
        problem(send(odd, "POST", "silences", {"comment": "why", "rules": ["slow"]}), 403)


class TestMuteWindows:
    def test_one_is_made_read_changed_and_deleted(self, writer: Client) -> None:
        made = send(writer, "POST", "mute-windows", {**WINDOW, "weekdays": [6, 5, 5], "time_zone": "Europe/Berlin"})
        assert made.status_code == 201, made.content
        assert made.json()["weekdays"] == [5, 6]
        one = f"mute-windows/{made.json()['id']}"
        assert send(writer, "PATCH", one, {"enabled": False}).json()["in_force"] is False
        assert len(writer.get("/api/v1/mute-windows").json()["results"]) == 1
        assert send(writer, "DELETE", one).status_code == 204
        assert not MuteWindow.objects.exists()

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"time_zone": "Mars/Olympus"}, "time_zone"),
            ({"starts": "25:00"}, "starts"),
            ({"starts": "02:00:30"}, "non_field_errors"),
            ({"weekdays": [7]}, "weekdays"),
            ({"weekdays": []}, "weekdays"),
            ({"rules": []}, "non_field_errors"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(self, writer: Client, more: dict[str, Any], field: str) -> None:
        refused = send(writer, "POST", "mute-windows", {**WINDOW, **more})
        problem(refused, 400)
        assert set(refused.json()["errors"]) == {field}
