"""Silences are made, ended early and kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.monitoring.models import Alert, AlertRule, Silence
from tests.integration.admin.pages import HOME, HOSTILE, act, errors, page, staff
from tests.integration.admin.rows import fire

pytestmark = pytest.mark.django_db


def typed(**changes: Any) -> dict[str, Any]:
    """What a person types into the form that is shown, with its times."""
    now = timezone.now()
    ends = now + timedelta(hours=2)
    given = {
        "rules": "response-time-p95\r\n\r\n error-rate* ", "tenants": "", "comment": "a deployment",
        "starts_at_0": f"{now:%Y-%m-%d}", "starts_at_1": f"{now:%H:%M:%S}",
        "ends_at_0": f"{ends:%Y-%m-%d}", "ends_at_1": f"{ends:%H:%M:%S}",
    }  # fmt: skip
    return {**given, **changes}


def made(**changes: Any) -> Silence:
    silence = Silence(**{"rules": ["response-time-p95"], "author": "anna", "comment": "why", **changes})
    silence.save()
    return silence


def test_an_alerts_page_leads_to_a_silence_that_is_filled_in_for_two_hours(admin_client: Client, rule: AlertRule) -> None:
    alert = fire(rule, "air & sea\tline")
    address = "silence/add/?rules=response-time-p95&amp;tenants=air+%26+sea%09line"
    shown = page(admin_client, f"alert/{alert.pk}/change/")
    assert f'<a href="{HOME}/{address}">Silence this alert</a>' in shown
    form = admin_client.get(f"{HOME}/{address.replace('&amp;', '&')}").context["adminform"].form
    assert form["rules"].value() == "response-time-p95"
    assert form["tenants"].value() == "air & sea\tline"
    assert form["ends_at"].value() - form["starts_at"].value() == timedelta(hours=2)


def test_an_alert_that_ended_is_not_silenced(admin_client: Client, rule: AlertRule) -> None:
    alert = fire(rule, "airline")
    Alert.objects.update(resolved_at=timezone.now())
    assert "Silence this alert" not in page(admin_client, f"alert/{alert.pk}/change/")


def test_who_may_not_silence_is_not_shown_how(rule: AlertRule) -> None:
    alert = fire(rule, "airline")
    client = staff("view_alert")
    assert "Silence this alert" not in page(client, f"alert/{alert.pk}/change/")
    assert client.get(f"{HOME}/silence/add/").status_code == 403


def test_a_silence_says_who_made_it_and_what_it_holds_back(admin_client: Client, rule: AlertRule) -> None:
    fire(rule, "airline")
    shown = admin_client.post(f"{HOME}/silence/add/", typed(severities=["warning", "critical"]), follow=True).content.decode()
    (silence,) = Silence.objects.all()
    assert (silence.rules, silence.tenants) == (["response-time-p95", "error-rate*"], [])
    assert (silence.severities, silence.author) == (["warning", "critical"], "admin")
    assert silence.starts_at.second == silence.ends_at.second == 0
    assert "It means 1 of the alerts that fire now." in shown
    assert "rule response-time-p95 or error-rate*; severity warning or critical" in shown


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rules": " \r\n"}, "choose every severity"),
        ({"ends_at_0": "2020-01-01"}, "ends before it begins"),
        ({"comment": " "}, "required"),
        ({"severities": ["fatal"]}, "not one of the available choices"),
    ],
)
def test_a_silence_that_cannot_work_is_refused_with_the_reason(
    admin_client: Client, changes: dict[str, Any], problem: str
) -> None:
    found = errors(admin_client.post(f"{HOME}/silence/add/", typed(**changes)))
    assert problem in str(found)
    assert not Silence.objects.exists()


def test_one_click_ends_a_silence_and_what_is_over_is_not_rewritten(admin_client: Client) -> None:
    silence = made()
    address = f"{HOME}/silence/{silence.pk}/expire/"
    assert address in page(admin_client, f"silence/{silence.pk}/change/")
    assert admin_client.get(address).status_code == 405
    shown = admin_client.post(address, follow=True).content.decode()
    assert "Expired: 1." in shown
    assert address not in shown
    silence.refresh_from_db()
    assert silence.state(timezone.now()).value == "expired"
    assert admin_client.post(f"{HOME}/silence/{silence.pk}/change/", typed()).status_code == 403
    assert "1 had expired before" in act(admin_client, "silence", "expire_now", silence)


def test_silences_are_found_by_their_state_and_never_deleted(admin_client: Client) -> None:
    now = timezone.now()
    hour = timedelta(hours=1)
    made(comment="of-now")
    made(comment="to-come", starts_at=now + hour, ends_at=now + 2 * hour)
    old = made(comment="of-before", starts_at=now - 2 * hour, ends_at=now - hour)
    for state, comment in (("active", "of-now"), ("pending", "to-come"), ("expired", "of-before")):
        shown = page(admin_client, f"silence/?state={state}")
        assert [name for name in ("of-now", "to-come", "of-before") if name in shown] == [comment]
    assert "of-now" in page(admin_client, "silence/?q=time-P95")
    assert "of-now" not in page(admin_client, "silence/?q=handoff")
    assert admin_client.post(f"{HOME}/silence/{old.pk}/delete/", {"post": "yes"}).status_code == 403


def test_what_people_type_is_shown_as_text(admin_client: Client) -> None:
    silence = made(tenants=[HOSTILE], comment=HOSTILE)
    assert HOSTILE not in page(admin_client, "silence/")
    assert HOSTILE not in page(admin_client, f"silence/{silence.pk}/change/")


def test_who_may_only_look_cannot_expire() -> None:
    silence = made()
    client = staff("view_silence")
    assert "expire/" not in page(client, f"silence/{silence.pk}/change/")
    assert client.post(f"{HOME}/silence/{silence.pk}/expire/").status_code == 403
    act(client, "silence", "expire_now", silence)
    silence.refresh_from_db()
    assert silence.state(timezone.now()).value == "active"
