"""Mute windows hold back what silences would, each week anew."""

from __future__ import annotations

from datetime import time
from typing import Any

import pytest
from django.core.exceptions import ValidationError

from apps.monitoring.models import AlertTransition, MuteWindow
from tests.integration.alerts.judged import channel, history, play, rule
from tests.integration.alerts.test_silences import silence, slow, told

pytestmark = pytest.mark.usefixtures("stores")


def window(**more: Any) -> MuteWindow:
    """The minutes that end from 00:02 to 00:04 UTC, where it is an hour later, on a Monday."""
    given = {
        "name": "backup", "rules": ["slow"], "weekdays": [0], "starts": time(1, 2), "ends": time(1, 5),
        "time_zone": "Europe/Berlin", **more,
    }  # fmt: skip
    made = MuteWindow(**given)
    made.save()
    return made


def test_what_fires_in_a_mute_window_is_told_when_it_is_over() -> None:
    channel(), rule()
    window()
    play(slow(range(1, 7), "acme"), until=7)
    assert history() == [(1, "firing", False), (4, "firing", True)]
    assert AlertTransition.objects.earliest("minute").reason == "9000 > 5000; held back: mute window backup"
    assert told() == [(4, "firing", 1)]


@pytest.mark.parametrize(
    "other",
    [
        {"enabled": False},
        {"weekdays": [1, 2, 3, 4, 5, 6]},
        {"time_zone": "UTC"},
        {"rules": ["other"]},
        {"tenants": ["bolt"]},
        {"severities": ["critical"]},
    ],
)
def test_another_window_holds_nothing_back(other: dict[str, Any]) -> None:
    channel(), rule()
    window(**other)
    play(slow(range(1, 3), "acme"), until=3)
    assert history() == [(1, "firing", True)]


def test_a_window_that_cannot_be_read_holds_nothing_back_and_stops_nothing() -> None:
    channel(), rule()
    window()
    MuteWindow.objects.update(time_zone="Europe/Atlantis")
    window(name="another", tenants=["bolt"])
    play(slow(range(1, 2), "acme", "bolt"), until=2)
    assert (history(), history(tenant="bolt")) == ([(1, "firing", True)], [(1, "firing", False)])


def test_what_two_hold_back_is_told_when_the_last_lets_go() -> None:
    channel(), rule()
    window()
    silence(4, 8)
    play(slow(range(1, 9), "acme"), until=9)
    assert told() == [(7, "firing", 1)]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"time_zone": "Europe/Atlantis"}, "no time zone 'Europe/Atlantis'"),
        ({"time_zone": "../UTC"}, "no time zone"),
        ({"weekdays": []}, "blank"),
        ({"weekdays": [7]}, "not a valid choice"),
        ({"starts": time(1, 2, 3)}, "leave the seconds out"),
        ({"rules": []}, "Name a rule"),
    ],
)
def test_a_window_that_cannot_work_is_refused(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        window(**given)
