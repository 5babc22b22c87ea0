from __future__ import annotations

from dataclasses import replace

import pytest

from apps.monitoring.core.rules import Rule
from apps.monitoring.core.timeline import Episode, Tally, Timeline
from tests.unit.core.test_frame import NEVER, frame

RULE = Rule(name="slow", metric="response_time", statistic="p95", operator="gt", threshold=100.0, min_samples=1, cooldown=3)


def run(*values: float, rule: Rule = RULE) -> Timeline:
    timeline = Timeline(rule, len(values))
    timeline.show(frame([(list(values), [1] * len(values), NEVER)]))
    return timeline


@pytest.mark.parametrize(
    ("values", "tally", "words"),
    [
        ([1, 1], Tally(), "would not have fired"),
        ([1, 200, 1], Tally(1, 1, 0, 2), "would have fired 1 time, 1 minute"),
        ([200, 200], Tally(1, 2, 0, 1), "would have fired 1 time, 2 minutes"),
        ([200, 1, 200, 1], Tally(2, 2, 1, 2), "would have fired 2 times, 2 minutes, 1 flap"),
        ([200, 1, 1, 1, 200, 1], Tally(2, 2, 0, 4), "would have fired 2 times, 2 minutes"),
    ],
)
def test_what_a_timeline_comes_to(values: list[float], tally: Tally, words: str) -> None:
    found = run(*values).total()
    assert found == tally
    assert str(found) == words


def test_an_episode_without_an_end_still_fires() -> None:
    assert run(200, 1, 200).episodes("t0") == [Episode(0, 1), Episode(2, None)]


def test_frames_of_some_tenants_leave_the_others_as_they_are() -> None:
    timeline = Timeline(RULE, 2)
    for name in ("a", "b"):
        for minute in (0, 1):
            own = frame([([200.0], [1], NEVER)], minute)
            timeline.show(replace(own, tenants=[name]))
    assert {tenant: len(lines) for tenant, lines in timeline.lines.items()} == {"a": 1, "b": 1}
    assert timeline.total() == Tally(2, 4, 0, 2)
