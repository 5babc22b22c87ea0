"""Alerts are looked at and acknowledged."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.monitoring.models import Alert, AlertRule, AlertState
from tests.integration.admin.pages import HOME, HOSTILE, act, page, staff
from tests.integration.admin.rows import MOMENT, fire

pytestmark = pytest.mark.django_db


def test_an_alert_shows_its_history_and_is_not_edited(admin_client: Client, rule: AlertRule) -> None:
    alert = fire(rule, HOSTILE)
    shown = page(admin_client, f"alert/{alert.pk}/change/")
    assert "6000 &gt; 5000" in shown
    assert HOSTILE not in shown
    assert HOSTILE not in page(admin_client, "alert/")
    assert admin_client.post(f"{HOME}/alert/{alert.pk}/change/", {"tenant": "other"}).status_code == 403
    assert admin_client.post(f"{HOME}/alert/{alert.pk}/delete/", {"post": "yes"}).status_code == 403


def test_one_click_acknowledges_the_alert_and_silences_its_reminders(admin_client: Client, rule: AlertRule) -> None:
    alert, other = fire(rule, "airline"), fire(rule, "retail")
    address = f"{HOME}/alert/{alert.pk}/acknowledge/"
    assert address in page(admin_client, f"alert/{alert.pk}/change/")
    assert admin_client.get(address).status_code == 405
    shown = admin_client.post(address, follow=True).content.decode()
    assert "Acknowledged: 1." in shown
    assert address not in shown
    alert.refresh_from_db()
    assert alert.acknowledged_at is not None
    assert str(alert.acknowledged_by) == "admin"
    assert AlertState.objects.get(alert=alert).acknowledged
    assert not AlertState.objects.get(alert=other).acknowledged


def test_an_alert_that_ended_or_is_somebodys_stays_as_it_is(admin_client: Client, rule: AlertRule) -> None:
    ended, taken, open_ = (fire(rule, tenant) for tenant in ("a", "b", "c"))
    Alert.objects.filter(pk=ended.pk).update(resolved_at=MOMENT)
    Alert.objects.filter(pk=taken.pk).update(acknowledged_at=MOMENT)
    assert "Acknowledged: 1. 2 had ended" in act(admin_client, "alert", "acknowledge", ended, taken, open_)
    assert Alert.objects.get(pk=taken.pk).acknowledged_at == MOMENT
    assert Alert.objects.get(pk=ended.pk).acknowledged_at is None


def test_who_may_only_look_cannot_acknowledge(rule: AlertRule) -> None:
    alert = fire(rule, "airline")
    client = staff("view_alert")
    assert "acknowledge/" not in page(client, f"alert/{alert.pk}/change/")
    assert client.post(f"{HOME}/alert/{alert.pk}/acknowledge/").status_code == 403
    act(client, "alert", "acknowledge", alert)
    assert Alert.objects.get().acknowledged_at is None


def test_who_may_change_alerts_can(rule: AlertRule) -> None:
    alert = fire(rule, "airline")
    act(staff("change_alert"), "alert", "acknowledge", alert)
    assert Alert.objects.get().acknowledged_at is not None
