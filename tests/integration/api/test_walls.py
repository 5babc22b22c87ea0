"""Every address, whoever asks: what is another tenant's does not exist, and an address that nobody has thought about fails here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from django.urls import URLPattern, URLResolver

from apps.monitoring.api import tenancy, urls
from apps.monitoring.models import Alert, AlertRule, Channel, MuteWindow, Series, Silence
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import RULE, fire, rule, send, silence, staff

pytestmark = pytest.mark.django_db

NOBODY = 987_654_321
"""An id that there is not."""
SECRET_NAME = "retail-the-secret-name"
"""Of the other tenant: it stands in nothing that a bound token reads."""
ROWS: dict[str, type[Model]] = {
    "rules": AlertRule, "channels": Channel, "silences": Silence, "alerts": Alert, "mute-windows": MuteWindow,
}  # fmt: skip
CLOSED = {"channels", "mute-windows"}
LISTS = {f"api/v1/{noun}" for noun in ROWS}
ONES = {f"api/v1/{noun}/<id>" for noun in ROWS}
ACTIONS = {
    f"api/v1/{one}" for one in ("rules/<id>/backtest", "rules/<id>/suggest", "channels/<id>/test", "alerts/<id>/acknowledge")
}
TRIALS = {"api/v1/rules/backtest", "api/v1/rules/suggest"}  # tests/integration/api/test_trials.py
EXPLAINED = {"api/v1/rules/<id>/explain"}  # tests/integration/api/test_explain.py
NUMBERS = {"api/v1/metrics/summary", "api/v1/metrics/series"}  # tests/integration/api/test_tenants.py, test_series.py
RECORDS = {"api/v1/interactions", "v1/traces"}  # tests/integration/api/test_interactions.py, test_traces.py
SCRAPED = {"metrics"}  # tests/integration/api/test_exposition.py
OPEN = {"healthz", "readyz"}
BODIES: dict[str, dict[str, Any]] = {
    "rules": RULE,
    "channels": {"name": "mine", "kind": "log"},
    "silences": {"comment": "why", "rules": ["slow"]},
    "alerts": {"note": "mine"},
    "mute-windows": {"name": "mine", "rules": ["slow"], "starts": "02:00", "ends": "03:00"},
}


def addresses(patterns: list[Any], before: str = "") -> Iterator[str]:
    """Every address of the API, with <id> for a number; what is caught to say that there is nothing is none."""
    for pattern in patterns:
        text = before + re.sub(r"\(\?P<\w+>[^)]*\)", "<id>", str(pattern.pattern)).strip("^$")
        text = text.replace("^", "").replace("<int:pk>", "<id>")
        if isinstance(pattern, URLResolver):
            yield from addresses(pattern.url_patterns, text)
        elif isinstance(pattern, URLPattern) and "(?!" not in text:
            yield text


def test_every_address_is_one_that_these_tests_know() -> None:
    known = LISTS | ONES | ACTIONS | TRIALS | EXPLAINED | NUMBERS | RECORDS | SCRAPED | OPEN
    assert set(addresses(urls.urlpatterns)) == known


@pytest.fixture
def theirs() -> dict[str, Model]:
    """What there is of everything, for another tenant, for all, and for this tenant beside another."""
    Series.objects.create(tenant=SECRET_NAME, metric="response_time")
    channel = Channel.objects.create(name="ops", kind="log", config={"note": SECRET_NAME})
    everybody, other = rule("slow"), rule("theirs", scope="one_tenant", tenant=SECRET_NAME)
    other.channels.add(channel)
    silence("airline", SECRET_NAME)
    silence(rules=["slow"], comment=SECRET_NAME)
    silence("air*")
    fire(everybody, "")
    fire(rule("whole", scope="global"), "")
    return {
        "rules": other,
        "channels": channel,
        "silences": silence(SECRET_NAME),
        "alerts": fire(everybody, SECRET_NAME),
        "mute-windows": MuteWindow.objects.create(
            name="nights", tenants=[SECRET_NAME], starts="02:00", ends="03:00", time_zone="UTC"
        ),
    }


@pytest.fixture(params=[False, True], ids=["that reads", "that writes"])
def airline(request: pytest.FixtureRequest) -> Client:
    return bearer("airline", can_write=request.param)


def every_way(noun: str, identity: int) -> list[tuple[str, str]]:
    """Method and address of everything that is done with one row."""
    one = f"{noun}/{identity}"
    actions = [("POST", path.removeprefix("api/v1/").replace("<id>", str(identity))) for path in ACTIONS if f"/{noun}/" in path]
    return [*((method, one) for method in ("GET", "PUT", "PATCH", "DELETE", "OPTIONS")), *sorted(actions)]


def snapshot() -> list[Any]:
    return [list(model._default_manager.order_by("pk").values()) for model in ROWS.values()]


@pytest.mark.parametrize("noun", ROWS)
def test_what_is_another_tenants_does_not_exist(airline: Client, theirs: dict[str, Model], noun: str) -> None:
    before = snapshot()
    for (method, path), (_, nowhere) in zip(every_way(noun, theirs[noun].pk), every_way(noun, NOBODY), strict=True):
        there, not_there = send(airline, method, path, BODIES[noun]), send(airline, method, nowhere, BODIES[noun])
        assert there.status_code == not_there.status_code, path
        assert there.content == not_there.content
        assert there.status_code in ({403} if noun in CLOSED else {403, 404, 405} | ({200} if method == "OPTIONS" else set()))
        assert SECRET_NAME not in there.content.decode()
    assert snapshot() == before


@pytest.mark.parametrize("noun", ROWS)
def test_a_list_holds_the_tenants_own_rows_alone(airline: Client, theirs: dict[str, Model], noun: str) -> None:
    own = {
        "rules": lambda: rule("own", scope="one_tenant", tenant="airline").pk,
        "silences": lambda: silence("airline").pk,
        "alerts": lambda: fire(AlertRule.objects.get(name="slow"), "airline").pk,
    }
    mine = [own[noun]()] if noun in own else []
    answer = airline.get(f"/api/v1/{noun}")
    if noun in CLOSED:
        problem(answer, 403)
    else:
        assert [row["id"] for row in answer.json()["results"]] == mine
        assert "ops" not in str(answer.json()["results"])
    for query in (
        {"tenant": SECRET_NAME},
        {"tenant": "nobody"},
        {"name": "theirs"},
        {"rule": "theirs"},
        {"cursor": "cD0wJnI9MQ=="},
    ):
        assert SECRET_NAME not in airline.get(f"/api/v1/{noun}", query).content.decode()


def test_alerts_of_another_tenant_are_refused_in_the_same_words_whether_it_exists_or_not(
    airline: Client, theirs: dict[str, Model]
) -> None:
    for name in (SECRET_NAME, "nobody"):
        refused = problem(airline.get("/api/v1/alerts", {"tenant": name, "since": "nonsense"}), 403)
        assert refused == "The token is bound to another tenant."


def test_a_bound_token_that_writes_acknowledges_and_silences_its_own_and_nothing_else(theirs: dict[str, Model]) -> None:
    airline = bearer("airline", can_write=True)
    alert = fire(AlertRule.objects.get(name="slow"), "airline")
    own = rule("own", scope="one_tenant", tenant="airline")
    assert send(airline, "POST", f"alerts/{alert.pk}/acknowledge", {"note": "on it"}).status_code == 200
    made = send(airline, "POST", "silences", BODIES["silences"]).json()
    assert send(airline, "DELETE", f"silences/{made['id']}").status_code == 204
    problem(send(airline, "POST", "rules", {**RULE, "name": "new", "scope": "one_tenant", "tenant": "airline"}), 403)
    problem(send(airline, "PATCH", f"rules/{own.pk}", {"threshold": 1}), 403)
    problem(send(airline, "DELETE", f"rules/{own.pk}"), 403)


@pytest.mark.parametrize("noun", ROWS)
@pytest.mark.parametrize("tenant", ["", "airline"])
def test_a_token_that_reads_changes_nothing(theirs: dict[str, Model], noun: str, tenant: str) -> None:
    reads, row = bearer(tenant), theirs[noun].pk
    before = snapshot()
    for method, path in (*every_way(noun, row), ("POST", noun)):
        answer = send(reads, method, path, BODIES[noun])
        trial = path.endswith(("backtest", "suggest"))
        assert trial or method in {"GET", "OPTIONS"} or answer.status_code in {403, 404, 405}, (method, path)
    assert snapshot() == before


class TestStaff:
    """Members of staff by Django's permissions, as in the admin."""

    NEEDED = {
        ("rules", "GET"): "view_alertrule", ("rules", "POST"): "add_alertrule", ("rules", "PATCH"): "change_alertrule",
        ("rules", "DELETE"): "delete_alertrule", ("rules", "backtest"): "view_alertrule", ("rules", "suggest"): "view_alertrule",
        ("channels", "GET"): "view_channel", ("channels", "POST"): "add_channel", ("channels", "PATCH"): "change_channel",
        ("channels", "DELETE"): "delete_channel", ("channels", "test"): "change_channel",
        ("silences", "GET"): "view_silence", ("silences", "POST"): "add_silence", ("silences", "PATCH"): "change_silence",
        ("silences", "DELETE"): "change_silence",
        ("mute-windows", "GET"): "view_mutewindow", ("mute-windows", "POST"): "add_mutewindow",
        ("mute-windows", "PATCH"): "change_mutewindow", ("mute-windows", "DELETE"): "delete_mutewindow",
        ("alerts", "GET"): "view_alert", ("alerts", "acknowledge"): "change_alert",
    }  # fmt: skip

    @pytest.mark.parametrize(("noun", "what"), NEEDED, ids=[" ".join(pair) for pair in NEEDED])
    def test_each_action_needs_its_permission_and_no_other(self, theirs: dict[str, Model], noun: str, what: str) -> None:
        needed, row = self.NEEDED[noun, what], theirs[noun].pk
        method = what if what.isupper() else "POST"
        path = {"POST": noun, "GET": noun}.get(what, f"{noun}/{row}" if what.isupper() else f"{noun}/{row}/{what}")
        body = {"comment": "why"} if method == "PATCH" and noun == "silences" else {} if method == "PATCH" else BODIES[noun]
        body = (
            {"name": "new", **{key: value for key, value in body.items() if key != "name"}}
            if body and noun == "rules"
            else body
        )
        body = {"alerts_per_week": 1} if what == "suggest" else {} if what == "backtest" else body
        every = {
            f"{can}_{model._meta.model_name}"
            for can in (tenancy.VIEW, tenancy.ADD, tenancy.CHANGE, tenancy.DELETE)
            for model in ROWS.values()
        }
        refused = problem(send(staff(*(every - {needed})), method, path, body), 403)
        assert refused == "Your account has no permission for this."
        answer = send(staff(needed), method, path, body)
        assert answer.status_code in {200, 201, 202, 204} or "no minute is rolled up" in answer.json()["detail"], answer.content

    def test_another_site_does_nothing_in_their_name(self, theirs: dict[str, Model]) -> None:
        clerk = staff("add_silence", csrf=True)
        assert "CSRF" in problem(send(clerk, "POST", "silences", BODIES["silences"]), 403)

    def test_who_is_no_staff_or_nobody_sees_nothing(self, theirs: dict[str, Model], django_user_model: Any) -> None:
        outside = Client()
        outside.force_login(django_user_model.objects.create_user("customer"))
        for noun in ROWS:
            problem(outside.get(f"/api/v1/{noun}"), 403)
            problem(Client().get(f"/api/v1/{noun}"), 401)
            problem(send(Client(), "POST", noun, BODIES[noun]), 401)


def test_the_other_tenants_name_was_there_to_be_found(theirs: dict[str, Model]) -> None:
    everyone = bearer(can_write=True)
    for noun in ROWS:
        assert SECRET_NAME in everyone.get(f"/api/v1/{noun}").content.decode()
