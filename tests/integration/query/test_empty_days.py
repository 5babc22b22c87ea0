"""Days without rows cost a range nothing, and hide none."""

from __future__ import annotations

import time

import pytest

from apps.monitoring.core.clock import minute_of, to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query import remembered, versions
from apps.monitoring.query.series import Question, Range, series
from apps.monitoring.query.summary import summary
from apps.monitoring.rollup import periods
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, roll_up, send

pytestmark = pytest.mark.usefixtures("stores")

DAYS = 340
FIRST = Resolution.DAY.floor(minute_of(time.time())) - DAYS * Resolution.DAY
LAST = FIRST + DAYS * Resolution.DAY
AT = [FIRST, FIRST + 90, FIRST + Resolution.DAY - 1, FIRST + 20 * Resolution.DAY + 7, LAST - 2 * Resolution.DAY, LAST - 1]
"""The minutes that have an interaction: at the ends of days and of the range, and alone in the middle."""


@pytest.mark.parametrize("compacted", [False, True], ids=["minutes", "compacted"])
@pytest.mark.parametrize("step", [45, 60, 1_440])
def test_what_lies_between_empty_days_is_found(step: int, *, compacted: bool) -> None:
    remembered._begin_anew()
    send(*[interaction(number, "acme", minute) for number, minute in enumerate(AT)])
    roll_up(time.time())
    if compacted:
        assert compact()
    wanted = {minute - minute % step: 0 for minute in AT}
    for minute in AT:
        wanted[minute - minute % step] += 1
    over = Range.covering(to_datetime(FIRST), to_datetime(LAST), step)
    for _ in range(2):
        found = series("acme", Question("interactions", "count"), over)["series"][0]["values"]
        assert {start: count for start, count in zip(over.starts(), found, strict=True) if count} == wanted
    assert summary(None, to_datetime(FIRST), to_datetime(LAST))["interactions"]["total"] == len(AT)


def test_a_first_record_in_an_empty_day_is_in_the_next_answer() -> None:
    over = Range.covering(to_datetime(FIRST), to_datetime(LAST), 45)
    for number in range(3):
        send(interaction(number, "acme", FIRST + number * 30 * Resolution.DAY))
        for _ in range(2):
            assert sum(series("acme", Question("interactions", "count"), over)["series"][0]["values"]) == number + 1
            roll_up(time.time())


def test_only_the_minutes_of_days_with_rows_are_looked_for() -> None:
    send(*[interaction(number, "acme", minute) for number, minute in enumerate(AT)])
    roll_up(time.time())
    stored = periods.stored(FIRST, LAST)
    pieces = versions.pieces(stored, stored.stretches(FIRST, LAST, Resolution.MINUTE))
    days = {Resolution.DAY.floor(minute) for minute in AT}
    assert [piece.start for piece in pieces] == [minute for day in sorted(days) for minute in range(day, day + Resolution.DAY)]
