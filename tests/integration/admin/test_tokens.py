"""API tokens are shown once."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.monitoring.models import ApiToken
from tests.integration.admin.pages import HOME, page

pytestmark = pytest.mark.django_db


def test_a_token_is_shown_once_and_works(admin_client: Client) -> None:
    made = admin_client.post(f"{HOME}/apitoken/add/", {"name": "grafana", "tenant": "airline"})
    assert "no-store" in made["cache-control"]
    secret = made.content.decode().partition('<pre id="secret">')[2].partition("</pre>")[0]
    token = ApiToken.objects.get()
    assert (token.name, token.tenant, token.digest) == ("grafana", "airline", ApiToken.digest_of(secret))
    assert not any(secret in morsel.value for morsel in admin_client.cookies.values())
    for path in ("apitoken/", f"apitoken/{token.pk}/change/"):
        shown = page(admin_client, path)
        assert secret not in shown
        assert token.digest not in shown


def test_a_token_cannot_be_widened(admin_client: Client) -> None:
    token, _ = ApiToken.issue("t", "airline")
    assert admin_client.post(f"{HOME}/apitoken/{token.pk}/change/", {"name": "t", "tenant": ""}).status_code == 403
    assert ApiToken.objects.get().tenant == "airline"


def test_a_token_can_be_taken_back(admin_client: Client) -> None:
    token, _ = ApiToken.issue("t")
    assert admin_client.post(f"{HOME}/apitoken/{token.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not ApiToken.objects.exists()


def test_a_token_reads_unless_it_is_made_to_write(admin_client: Client) -> None:
    admin_client.post(f"{HOME}/apitoken/add/", {"name": "grafana"})
    admin_client.post(f"{HOME}/apitoken/add/", {"name": "terraform", "can_write": "on"})
    assert dict(ApiToken.objects.values_list("name", "can_write")) == {"grafana": False, "terraform": True}


def test_a_token_that_records_is_made_for_that_alone(admin_client: Client) -> None:
    admin_client.post(f"{HOME}/apitoken/add/", {"name": "agent", "tenant": "airline", "can_record": "on"})
    token = ApiToken.objects.get()
    assert (token.can_record, token.can_write) == (True, False)
    both = admin_client.post(f"{HOME}/apitoken/add/", {"name": "both", "can_record": "on", "can_write": "on"})
    assert "A token that records does nothing else" in both.content.decode()
    assert ApiToken.objects.count() == 1
