"""A clock that is wrong is told when it begins to be, and counted each time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.monitoring.ingest.recorder import recorder
from apps.monitoring.rollup import clock

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture(autouse=True)
def _as_nothing_was_told() -> Iterator[None]:
    clock._told = timedelta()
    yield
    clock._told = timedelta()


def told(caplog: pytest.LogCaptureFixture, *seconds: float) -> list[str]:
    """What is logged while the clock of this machine is so far ahead, tick by tick."""
    caplog.clear()
    with caplog.at_level(logging.INFO, logger=clock.__name__):
        for ahead in seconds:
            clock.earlier(timezone.now() + timedelta(seconds=ahead))
    return [record.getMessage() for record in caplog.records if record.name == clock.__name__]


def test_a_difference_is_told_when_it_begins_changes_and_ends(caplog: pytest.LogCaptureFixture) -> None:
    assert told(caplog, 0, 1, -1) == []
    (began,) = told(caplog, *[3_600] * 20)
    assert "is +3600 s from" in began
    (changed,) = told(caplog, 3_602, 3_599, -60, -61, -60)
    assert "is -60 s from" in changed
    (ended,) = told(caplog, 0, 0, 0)
    assert "agrees" in ended
    assert len(told(caplog, 3_600, 3_600)) == 1


def test_one_that_wavers_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    assert len(told(caplog, *[6, 4] * 10)) == 1


def test_every_tick_is_counted(caplog: pytest.LogCaptureFixture) -> None:
    before = recorder().flusher.counters["clocks_differ"]
    assert len(told(caplog, 60, 60, 60, 0)) == 2
    assert recorder().flusher.counters["clocks_differ"] - before == 3
