"""Mute windows are made and changed."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from django.test import Client

from apps.monitoring.models import MuteWindow
from tests.integration.admin.pages import HOME, errors, page

pytestmark = pytest.mark.django_db


def typed(**changes: Any) -> dict[str, Any]:
    given = {
        "name": "backup", "enabled": "on", "rules": "response-time*", "tenants": "", "weekdays": ["5", "6"],
        "starts": "22:00", "ends": "04:00", "time_zone": "America/New_York", "comment": "copies of the weekend",
    }  # fmt: skip
    return {**given, **changes}


def test_a_window_is_made_and_the_list_says_when_it_is(admin_client: Client, settings: Any) -> None:
    settings.MONITORING_TIME_ZONE = "Europe/Berlin"
    assert '<option value="Europe/Berlin" selected>' in page(admin_client, "mutewindow/add/")
    shown = admin_client.post(f"{HOME}/mutewindow/add/", typed(), follow=True).content.decode()
    (window,) = MuteWindow.objects.all()
    assert (window.rules, window.weekdays, window.time_zone) == (["response-time*"], [5, 6], "America/New_York")
    assert (window.starts, window.ends) == (time(22), time(4))
    for said in ("rule response-time*", "Sat Sun", "America/New_York", "copies of the weekend"):
        assert said in shown


def test_whether_it_is_in_force_is_shown(admin_client: Client) -> None:
    window = MuteWindow(name="always", rules=["*"], starts=time(0), ends=time(0))
    window.save()
    assert "in force" in page(admin_client, "mutewindow/")
    MuteWindow.objects.update(enabled=False)
    assert "in force" not in page(admin_client, "mutewindow/")
    MuteWindow.objects.update(enabled=True, time_zone="Europe/Atlantis")
    assert "No time zone found with key Europe/Atlantis" in page(admin_client, "mutewindow/")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"rules": ""}, "choose every severity"),
        ({"weekdays": []}, "required"),
        ({"time_zone": "Europe/Atlantis"}, "not one of the available choices"),
        ({"starts": "25:00"}, "valid time"),
        ({"starts": ""}, "required"),
        ({"starts": "01:00:30"}, "leave the seconds out"),
    ],
)
def test_a_window_that_cannot_work_is_refused_with_the_reason(
    admin_client: Client, changes: dict[str, Any], problem: str
) -> None:
    assert problem in str(errors(admin_client.post(f"{HOME}/mutewindow/add/", typed(**changes))))
    assert not MuteWindow.objects.exists()
