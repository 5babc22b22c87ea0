"""Why a rule did or did not notify, over the API."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.models import AlertRule, AuditEntry, Channel, MuteWindow, Notification
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, play, rule
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import staff
from tests.integration.api.test_schema import check, schema  # noqa: F401 - a fixture
from tests.integration.ingest.hot import MINUTE

FIRED = isoformat(MINUTE + 1)


@pytest.fixture
def fired(stores: None) -> AlertRule:
    """A rule that fired for acme in the second minute, and for nobody else."""
    channel()
    one = rule()
    AuditEntry.objects.update(at=to_datetime(MINUTE - 1), actor="somebody of the house")
    slow = answered(SLOW, offset=1)
    play({0: answered(FAST), 1: [*slow, *answered(FAST, "birch", 1)]}, until=2)
    Notification.objects.update(last_error="550 another tenant's mailbox")
    return one


def ask(client: Client, one: AlertRule, **query: str) -> Any:
    return client.get(f"/api/v1/rules/{one.pk}/explain", {"minute": FIRED, **query})


def test_it_says_what_was_seen_and_who_was_told(fired: AlertRule, schema: dict[str, Any]) -> None:  # noqa: F811
    answer = ask(bearer(), fired, tenant="acme")
    check(schema, "/api/v1/rules/{id}/explain", answer)
    body = answer.json()
    assert (body["value"], body["samples"], body["breach"], body["agrees"]) == (9_000.0, 1, True, True)
    assert body["notifications"][0]["last_error"] == "550 another tenant's mailbox"
    assert body["conclusion"].startswith("It was told that it fires")


def test_a_bound_token_is_told_of_its_own_tenant_and_of_nobody_else(fired: AlertRule) -> None:
    own = ask(bearer("acme"), fired).json()
    assert (own["tenant"], own["breach"]) == ("acme", True)
    assert ask(bearer("acme"), fired, tenant="acme").json() == own
    assert "mailbox" not in str(own)
    assert "of the house" not in str(own)
    assert [one["channel"] for one in own["notifications"]] == [""]
    assert ask(bearer("birch"), fired).json()["breach"] is False
    exists, does_not = (problem(ask(bearer("acme"), fired, tenant=name), 403) for name in ("birch", "nobody"))
    assert exists == does_not


def test_a_bound_token_learns_the_name_of_no_channel_and_of_no_mute_window(stores: None) -> None:
    channel()
    Channel.objects.update(name="ops-of-birch")
    one = rule(cooldown_minutes=2)
    slow = {minute: answered(SLOW, offset=minute) for minute in range(1, 4)}
    play({0: answered(FAST), **slow}, until=2)
    MuteWindow.objects.create(name="birch-moves", rules=[one.name], starts="00:00", ends="00:00", time_zone="UTC")
    play({0: answered(FAST), **slow}, until=4, start=2)
    own, free = bearer("acme"), bearer()
    told, held = (ask(own, one, minute=isoformat(MINUTE + minute)).json() for minute in (1, 3))
    assert told["conclusion"] == "It was told that it fires; this has not arrived yet on a channel."
    assert held["held_back"] == "a mute window"
    assert "reminder held back: a mute window" in str(held["events"])
    assert "reminder held back: a mute window" in str(held["history"])
    alert = own.get("/api/v1/alerts").json()["results"][0]["id"]
    history = str(own.get(f"/api/v1/alerts/{alert}").json()["transitions"])
    assert "held back: a mute window" in history
    assert "birch" not in f"{told}{held}{history}"
    assert "ops-of-birch" in str(ask(free, one, tenant="acme", minute=isoformat(MINUTE + 1)).json())
    assert "mute window birch-moves" in str(ask(free, one, tenant="acme", minute=isoformat(MINUTE + 3)).json())
    assert "mute window birch-moves" in str(free.get(f"/api/v1/alerts/{alert}").json())


@pytest.mark.parametrize("other", [{"scope": "global"}, {"scope": "one_tenant", "tenant": "birch"}])
def test_a_rule_about_others_is_none_for_a_bound_token(fired: AlertRule, other: dict[str, str]) -> None:
    another = rule("another", **other)
    nowhere = AlertRule(pk=10**6)
    assert problem(ask(bearer("acme"), another), 404) == problem(ask(bearer("acme"), nowhere), 404)


def test_a_question_that_cannot_be_answered_says_why(fired: AlertRule) -> None:
    one = bearer()
    assert "name one" in problem(ask(one, fired), 400)
    assert "not judged yet" in problem(ask(one, fired, tenant="acme", minute=isoformat(MINUTE + 9)), 400)
    assert "no ISO 8601" in problem(ask(one, fired, tenant="acme", minute="noon"), 400)
    assert "minute is missing" in problem(one.get(f"/api/v1/rules/{fired.pk}/explain?tenant=acme"), 400)
    assert "nobody" in problem(ask(one, fired, tenant="nobody"), 404)
    assert problem(ask(Client(), fired), 401)


def test_a_member_of_staff_needs_the_permission_to_see_rules(fired: AlertRule) -> None:
    problem(ask(staff("view_alert"), fired, tenant="acme"), 403)
    assert ask(staff("view_alertrule"), fired, tenant="acme").status_code == 200
