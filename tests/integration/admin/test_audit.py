"""Who edited what is shown, in a list and on the page of what was edited."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apps.monitoring.models import AlertRule, AuditEntry, Channel, Silence
from tests.integration.admin.pages import HOME, HOSTILE, act, page, staff
from tests.integration.admin.rows import SECRET
from tests.integration.admin.test_channels import save
from tests.integration.admin.test_silences import typed

pytestmark = pytest.mark.django_db(transaction=True)


def test_an_edit_in_the_admin_is_shown_with_who_before_and_after(admin_client: Client, rule: AlertRule) -> None:
    AuditEntry.objects.all().delete()
    act(admin_client, "alertrule", "disable", rule)
    (entry,) = AuditEntry.objects.all()
    assert (entry.actor, entry.changes()) == ("admin", [("enabled", True, False)])
    for shown in (page(admin_client, f"alertrule/{rule.pk}/history/"), page(admin_client, f"auditentry/{entry.pk}/change/")):
        assert "<td>enabled</td><td>true</td><td>false</td>" in shown
    assert "changed by admin" in page(admin_client, f"alertrule/{rule.pk}/history/")
    assert "enabled" in page(admin_client, "auditentry/")


def test_the_next_request_is_somebody_elses(admin_client: Client, rule: AlertRule) -> None:
    act(admin_client, "alertrule", "disable", rule)
    rule.refresh_from_db()
    rule.description = "by code"
    rule.save()
    assert AuditEntry.objects.latest("at").actor == ""
    assert "changed by code or a shell" in page(admin_client, f"alertrule/{rule.pk}/history/")


def test_no_page_shows_a_secret(admin_client: Client, webhook: Channel) -> None:
    assert save(admin_client, webhook, new_secrets='{"secret": "whsec_' + "bmV3" * 10 + '"}').status_code == 302
    entry = AuditEntry.objects.latest("at")
    assert entry.actor == "admin"
    for shown in (page(admin_client, f"channel/{webhook.pk}/history/"), page(admin_client, f"auditentry/{entry.pk}/change/")):
        assert "{&quot;secret&quot;: &quot;changed&quot;}" in shown
        assert SECRET not in shown
        assert "bmV3" not in shown


def test_the_framework_alone_could_not_say_what_a_silence_was(admin_client: Client) -> None:
    admin_client.post(f"{HOME}/silence/add/", typed(comment=HOSTILE))
    silence = Silence.objects.get()
    admin_client.post(f"{HOME}/silence/{silence.pk}/expire/")
    assert [(one.actor, one.action) for one in AuditEntry.objects.order_by("at")] == [
        ("admin", "created"),
        ("admin", "changed"),
    ]
    shown = page(admin_client, f"silence/{silence.pk}/history/")
    assert "ends_at" in shown
    assert HOSTILE not in shown


def test_what_was_deleted_is_in_the_list(admin_client: Client, rule: AlertRule) -> None:
    admin_client.post(f"{HOME}/alertrule/{rule.pk}/delete/", {"post": "yes"})
    entry = AuditEntry.objects.latest("at")
    assert (entry.action, entry.name, entry.actor) == ("deleted", "response-time-p95", "admin")
    assert "<td>metric</td><td>response_time</td>" in page(admin_client, f"auditentry/{entry.pk}/change/")


def test_what_is_no_number_of_a_row_has_no_history(admin_client: Client) -> None:
    for odd in ("9" * 5_000, "9" * 30, "none"):
        assert admin_client.get(f"{HOME}/alertrule/{odd}/history/").status_code == 302, odd


def test_the_list_is_not_edited_and_not_for_everybody(rule: AlertRule, admin_client: Client) -> None:
    entry = AuditEntry.objects.latest("at")
    assert admin_client.post(f"{HOME}/auditentry/{entry.pk}/change/", {"actor": "nobody"}).status_code == 403
    assert admin_client.post(f"{HOME}/auditentry/{entry.pk}/delete/", {"post": "yes"}).status_code == 403
    clerk: Any = staff("view_channel")
    assert clerk.get(f"{HOME}/auditentry/").status_code == 403
    assert clerk.get(reverse("admin:monitoring_alertrule_history", args=[rule.pk])).status_code == 403
