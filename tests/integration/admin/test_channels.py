"""Channels; their secrets go in and never come out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone

from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.models.encrypted import SecretUnreadableError
from tests.integration.admin.pages import HOME, act, errors, page, staff
from tests.integration.admin.rows import SECRET, announce

pytestmark = pytest.mark.django_db


def form(**more: Any) -> dict[str, Any]:
    config = '{"url": "http://127.0.0.1:9000/"}'
    return {"name": "hook", "kind": "webhook", "config": config, "enabled": "on", "new_secrets": "",
            "fallback_after_minutes": "5", **more}  # fmt: skip


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


@pytest.mark.parametrize(
    "more",
    [
        {"config": '{"url": "http://127.0.0.1:9001/"}'},
        {"kind": "slack", "config": '{"channel": "#ops"}'},
        {"kind": "log", "config": "{}"},
    ],
    ids=["another host", "another kind that they do not suit", "another kind"],
)
def test_secrets_do_not_follow_a_channel_to_another_receiver(
    admin_client: Client, webhook: Channel, settings: Any, more: dict[str, str]
) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["127.0.0.1"]
    refused = save(admin_client, webhook, **more)
    assert errors(refused)
    assert SECRET not in refused.content.decode()
    assert Channel.objects.get().kind == "webhook"
    assert Channel.objects.get().config == {"url": "http://127.0.0.1:9000/"}


def test_secrets_that_are_given_anew_go_where_they_are_given_for(admin_client: Client, webhook: Channel, settings: Any) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["127.0.0.1"]
    elsewhere = '{"url": "http://127.0.0.1:9001/"}'
    assert save(admin_client, webhook, config='{"url": "http://127.0.0.1:9000/another/path"}').status_code == 302
    assert Channel.objects.get().secrets == {"secret": SECRET}
    assert "new_secrets" in errors(save(admin_client, webhook, config=elsewhere))
    assert save(admin_client, webhook, config=elsewhere, new_secrets=f'{{"secret": "{SECRET}"}}').status_code == 302


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


class TestThePage:
    def test_it_says_what_each_kind_wants(self, admin_client: Client) -> None:
        shown = page(admin_client, "channel/add/")
        for example in ("smtp+tls://", "xoxb-", "routing_key", "whsec_", "shop.alerts.page_duty"):
            assert example in shown

    def test_it_shows_what_became_of_the_last_notifications_and_runs_none_of_it(
        self, admin_client: Client, webhook: Channel
    ) -> None:
        announce(None, webhook, status="dead", last_error="<script>alert(1)</script>", payload={"rule": {"name": "p95"}})
        shown = page(admin_client, f"channel/{webhook.pk}/change/")
        assert "&lt;script&gt;alert(1)" in shown
        assert "<script>alert(1)" not in shown
        assert "p95" in shown

    def test_the_list_counts_what_waits_and_what_was_given_up(self, admin_client: Client, webhook: Channel) -> None:
        for status in ("dead", "dead", "pending", "delivered"):
            announce(None, webhook, status=status, kind="test")
        listed = page(admin_client, "channel/")
        assert '<td class="field-given_up">2</td>' in listed
        assert '<td class="field-waiting">1</td>' in listed

    def test_everything_given_up_is_sent_again(self, admin_client: Client, webhook: Channel) -> None:
        for status in ("dead", "dead", "delivered"):
            announce(None, webhook, status=status, kind="test")
        assert "On their way again: 2." in act(admin_client, "channel", "send_given_up_again", webhook)
        assert Notification.objects.filter(status="pending").count() == 2

    def test_who_mends_it_does_not_wait_for_the_pause(self, admin_client: Client, webhook: Channel) -> None:
        Channel.objects.update(failures=9, paused_until=timezone.now() + timedelta(minutes=5))
        late = announce(None, webhook, next_attempt_at=timezone.now() + timedelta(hours=1))
        assert save(admin_client, webhook, fallback_after_minutes="5").status_code == 302
        kept = Channel.objects.get()
        assert (kept.failures, kept.paused_until) == (0, None)
        assert Notification.objects.get(pk=late.pk).next_attempt_at < timezone.now()

    def test_a_fallback_is_another_channel(self, admin_client: Client, webhook: Channel) -> None:
        other = Channel.objects.create(name="journal", kind="log")
        assert save(admin_client, webhook, fallback=str(other.pk), fallback_after_minutes="7").status_code == 302
        assert Channel.objects.get(name="hook").fallback == other
        assert "fallback" in errors(save(admin_client, webhook, fallback=str(webhook.pk), fallback_after_minutes="7"))

    def test_one_unreadable_secret_hides_no_page_of_another(
        self, admin_client: Client, webhook: Channel, settings: Any
    ) -> None:
        other = Channel.objects.create(name="journal", kind="log", fallback=webhook)
        original = announce(None, webhook)
        copy = announce(None, other, fallback_of=original, about=webhook)
        with connection.cursor() as cursor:
            cursor.execute("UPDATE monitoring_channel SET secrets = 'broken' WHERE name = 'hook'")
        for path in ("channel/", "channel/add/", f"channel/{other.pk}/change/", f"channel/{webhook.pk}/change/",
                     f"notification/{copy.pk}/change/", "notification/"):  # fmt: skip
            page(admin_client, path)
        page(staff("view_channel"), f"channel/{other.pk}/change/")
