"""Who sees which pages."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.monitoring.models import AlertRule, Channel
from tests.integration.admin.pages import HOME, page, staff
from tests.integration.admin.rows import announce, fire

pytestmark = pytest.mark.django_db


def test_every_page_opens(admin_client: Client, rule: AlertRule, webhook: Channel) -> None:
    alert = fire(rule, "airline")
    note = announce(rule, webhook)
    index = admin_client.get("/admin/").content.decode()
    for model in ("alert", "alertrule", "alerttransition", "apitoken", "channel", "notification", "rollupbatch",
                  "shardprogress", "evaluationprogress", "taskrun"):  # fmt: skip
        assert f"{HOME}/{model}/" in index
        page(admin_client, f"{model}/")
    for path in (f"alert/{alert.pk}", f"alertrule/{rule.pk}", f"channel/{webhook.pk}", f"notification/{note.pk}"):
        page(admin_client, f"{path}/change/")
    assert admin_client.get("/admin/django_celery_beat/periodictask/").status_code == 200


def test_nobody_without_a_permission_sees_anything(rule: AlertRule) -> None:
    client = staff()
    for model in ("alert", "alertrule", "apitoken", "channel", "notification", "taskrun"):
        assert client.get(f"{HOME}/{model}/").status_code == 403


def test_the_zone_of_the_times_is_said_once_on_a_page(admin_client: Client, rule: AlertRule) -> None:
    alert = fire(rule, "airline")
    for path in ("alert/", f"alert/{alert.pk}/change/", "shardprogress/"):
        assert page(admin_client, path).count("times in UTC") == 1
