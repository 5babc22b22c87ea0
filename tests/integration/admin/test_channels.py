"""Channels; their secrets go in and never come out."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.models.encrypted import SecretUnreadableError
from tests.integration.admin.pages import HOME, act, errors, page, staff
from tests.integration.admin.rows import SECRET, announce

pytestmark = pytest.mark.django_db


def form(**more: Any) -> dict[str, Any]:
    config = '{"url": "http://127.0.0.1:9000/"}'
    return {"name": "hook", "kind": "webhook", "config": config, "enabled": "on", "new_secrets": "", **more}


def save(client: Client, channel: Channel, **more: Any) -> Any:
    return client.post(f"{HOME}/channel/{channel.pk}/change/", form(**more))


def test_a_secret_goes_in_and_never_comes_out(admin_client: Client, webhook: Channel) -> None:
    shown = page(admin_client, f"channel/{webhook.pk}/change/")
    assert "secret is set" in shown
    assert SECRET not in shown
    refused = save(admin_client, webhook, new_secrets=f'{{"secret": "{SECRET}"}}', name="not a slug")
    assert "name" in errors(refused)
    assert SECRET not in refused.content.decode()
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM monitoring_channel")
        assert SECRET not in cursor.fetchone()[0]


def test_an_empty_field_keeps_the_secret_and_an_empty_object_removes_it(admin_client: Client, webhook: Channel) -> None:
    assert save(admin_client, webhook, is_default="on").status_code == 302
    kept = Channel.objects.get()
    assert (kept.is_default, kept.secrets) == (True, {"secret": SECRET})
    assert save(admin_client, webhook, new_secrets="{}").status_code == 302
    assert Channel.objects.get().secrets == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("new_secrets", "whsec_AAAA"),
        ("new_secrets", "[]"),
        ("new_secrets", '{"secret": 5}'),
        ("config", "[1]"),
        ("config", '"http://127.0.0.1:9000/"'),
        ("config", "{"),
        ("kind", "pigeon"),
    ],
)
def test_what_cannot_be_read_is_refused_beside_the_field(
    admin_client: Client, webhook: Channel, field: str, value: str
) -> None:
    refused = save(admin_client, webhook, **{field: value})
    assert set(errors(refused)) == {field}
    assert "whsec_" not in " ".join(errors(refused)[field])


@pytest.mark.parametrize("more", [{"config": ""}, {"config": "null"}, {"new_secrets": '{"secret": "whsec_short"}'}])
def test_the_kind_says_what_cannot_work(admin_client: Client, webhook: Channel, more: dict[str, str]) -> None:
    assert set(errors(save(admin_client, webhook, **more))) == {"__all__"}
    assert Channel.objects.get().secrets == {"secret": SECRET}


def test_a_secret_whose_key_is_gone_hides_no_page_and_can_be_typed_anew(
    admin_client: Client, webhook: Channel, rule: AlertRule, settings: Any
) -> None:
    note = announce(rule, webhook)
    settings.MONITORING_ENCRYPTION_KEYS = ["another key"]
    with pytest.raises(SecretUnreadableError):
        Channel.objects.get()
    for path in ("channel/", "notification/", f"notification/{note.pk}/change/", f"alertrule/{rule.pk}/change/",
                 f"channel/{webhook.pk}/delete/"):  # fmt: skip
        page(admin_client, path)
    assert "MONITORING_ENCRYPTION_KEYS" in page(admin_client, f"channel/{webhook.pk}/change/")
    assert "new_secrets" in errors(save(admin_client, webhook))
    assert save(admin_client, webhook, new_secrets=f'{{"secret": "{SECRET}"}}').status_code == 302
    assert Channel.objects.get().secrets == {"secret": SECRET}


def test_the_button_saves_and_sends_a_test(admin_client: Client, webhook: Channel) -> None:
    assert "Save and send a test" in page(admin_client, f"channel/{webhook.pk}/change/")
    assert save(admin_client, webhook, _test="on", is_default="on").status_code == 302
    note = Notification.objects.get()
    assert (note.kind, note.channel, note.status) == ("test", webhook, "pending")
    assert note.channel.is_default


def test_a_test_of_a_channel_that_is_off_is_not_sent_later(admin_client: Client, webhook: Channel) -> None:
    Channel.objects.update(enabled=False)
    assert "not enabled" in act(admin_client, "channel", "send_test", webhook)
    assert not Notification.objects.exists()


def test_only_who_may_change_a_channel_sends_a_test(webhook: Channel) -> None:
    act(staff("view_channel"), "channel", "send_test", webhook)
    assert not Notification.objects.exists()


def test_a_channel_can_be_deleted_with_what_was_sent_to_it(admin_client: Client, webhook: Channel) -> None:
    announce(None, webhook)
    asked = page(admin_client, f"channel/{webhook.pk}/delete/")
    assert "Notifications: 1" in asked.replace("notifications", "Notifications")
    assert admin_client.post(f"{HOME}/channel/{webhook.pk}/delete/", {"post": "yes"}).status_code == 302
    assert not Channel.objects.exists()
