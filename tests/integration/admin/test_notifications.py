"""What was given up is sent again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from apps.monitoring.models import Channel, Notification
from tests.integration.admin.pages import act, page
from tests.integration.admin.rows import announce

pytestmark = pytest.mark.django_db


def test_what_was_given_up_or_waits_is_sent_again_under_its_id(admin_client: Client, webhook: Channel) -> None:
    later = timezone.now() + timedelta(hours=1)
    dead = announce(None, webhook, kind="test", status="dead", attempts=9)
    waiting = announce(None, webhook, kind="test", attempts=3, next_attempt_at=later)
    done = announce(None, webhook, kind="test", status="delivered", attempts=1)
    assert "On their way again: 2." in act(admin_client, "notification", "send_again", dead, waiting, done)
    assert {(row.pk, row.status, row.attempts) for row in Notification.objects.all()} == {
        (dead.pk, "pending", 0),
        (waiting.pk, "pending", 0),
        (done.pk, "delivered", 1),
    }
    assert Notification.objects.get(pk=waiting.pk).next_attempt_at < later


def test_the_list_is_narrowed_by_channel(admin_client: Client, webhook: Channel) -> None:
    other = Channel.objects.create(name="journal", kind="log")
    announce(None, webhook, last_error="it said no to the hook")
    announce(None, other, last_error="the journal is full")
    narrowed = page(admin_client, f"notification/?channel__id__exact={other.pk}")
    assert "the journal is full" in narrowed
    assert "it said no to the hook" not in narrowed


def test_its_page_shows_what_was_said_without_the_link_that_acknowledges(admin_client: Client, webhook: Channel) -> None:
    said = {"rule": {"name": "<b>p95</b>"}, "links": {"runbook": "https://runbooks.example", "acknowledge": "https://a-key"}}
    shown = page(admin_client, f"notification/{announce(None, webhook, payload=said).pk}/change/")
    assert "https://runbooks.example" in shown
    assert "&lt;b&gt;p95" in shown
    assert "a-key" not in shown
