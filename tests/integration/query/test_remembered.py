"""Merged hours are remembered, and read again as soon as they were made anew."""

from __future__ import annotations

import time
import tracemalloc
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from apps.monitoring.core.clock import minute_of, to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.query import remembered
from apps.monitoring.query.series import Question, Range, per_minute, series
from apps.monitoring.query.summary import summary
from apps.monitoring.query.versions import Piece
from apps.monitoring.rollup import floors
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, roll_up, send

pytestmark = pytest.mark.usefixtures("stores")

HOURS = 4
FIRST = Resolution.HOUR.floor(minute_of(time.time())) - 6 * 60


INTERACTIONS = Question("interactions", "count")


def total(tenant: str | None) -> int:
    found = summary(tenant, to_datetime(FIRST), to_datetime(FIRST + HOURS * 60))
    return int(found["interactions"]["total"])


def points(tenant: str | None, step: int, question: Question = INTERACTIONS) -> list[float | None]:
    """The values of the first line over twenty minutes."""
    found = series(tenant, question, Range.covering(to_datetime(FIRST), to_datetime(FIRST + 20), step))
    values: list[float | None] = found["series"][0]["values"]
    return values


def done() -> None:
    roll_up(time.time())
    assert compact()


@pytest.mark.parametrize("tenant", ["acme", None], ids=["one tenant", "all together"])
def test_hours_are_read_once_until_they_are_made_anew(tenant: str | None) -> None:
    send(*[interaction(number, "acme", FIRST + number * 60) for number in range(HOURS)])
    done()
    assert total(tenant) == HOURS
    with connection.cursor() as cursor:  # behind everybody's back
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count + 100 WHERE resolution = 60")
        assert total(tenant) == HOURS
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count - 100 WHERE resolution = 60")
    send(interaction(9, "acme", FIRST + 60))
    assert total(tenant) == HOURS + 1
    done()
    assert total(tenant) == HOURS + 1


@pytest.mark.parametrize("tenant", ["acme", None], ids=["one tenant", "all together"])
def test_ten_minutes_are_read_once_until_another_batch_comes(tenant: str | None) -> None:
    send(*[interaction(number, "acme", FIRST + 3 + number) for number in range(20)])
    roll_up(time.time())  # and not compacted: all of it is read from minutes
    assert total(tenant) == 20
    with connection.cursor() as cursor:  # behind everybody's back, in each ten minutes
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count + 100 WHERE resolution = 1")
        assert total(tenant) == 20
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count - 100 WHERE resolution = 1")
    for late in range(3):
        send(interaction(100 + late, "acme", FIRST + 4 + 8 * late))
        assert total(tenant) == 21 + late
        roll_up(time.time())
        assert total(tenant) == 21 + late


@pytest.mark.parametrize("tenant", ["acme", None], ids=["one tenant", "all together"])
def test_the_points_of_a_chart_are_made_once_until_another_batch_comes(tenant: str | None) -> None:
    send(*[interaction(number, "acme", FIRST + number) for number in range(20)])
    roll_up(time.time())
    assert points(tenant, 1) == [1.0] * 20
    with connection.cursor() as cursor:  # behind everybody's back
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count + 100")
        assert points(tenant, 1) == [1.0] * 20
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count - 100")
    for step, made in ((5, [5.0] * 4), (2, [2.0] * 10), (10, [10.0] * 2)):
        assert points(tenant, step) == made
    send(interaction(100, "acme", FIRST + 13))
    for _ in range(2):
        assert points(tenant, 10) == [10.0, 11.0]
        roll_up(time.time())


@pytest.mark.parametrize("tenant", ["acme", None], ids=["one tenant", "all together"])
def test_minutes_are_not_read_again_because_their_hour_is_compacted(tenant: str | None) -> None:
    send(*[interaction(number, "acme", FIRST + number) for number in range(20)])
    roll_up(time.time())
    assert points(tenant, 1) == [1.0] * 20
    with connection.cursor() as cursor:  # behind everybody's back
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count + 100")
        assert compact()
        assert points(tenant, 1) == [1.0] * 20
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count - 100 WHERE resolution = 1")
    send(interaction(100, "acme", FIRST + 13))
    roll_up(time.time())
    for _ in range(2):
        assert points(tenant, 1) == [1.0] * 13 + [2.0] + [1.0] * 6
        compact()


@pytest.mark.parametrize("tenant", ["acme", None], ids=["one tenant", "all together"])
@pytest.mark.parametrize("edge", [10, 60], ids=["ten minutes", "hour"])
def test_what_a_moving_range_will_begin_with_is_read_before(tenant: str | None, edge: int) -> None:
    send(*[interaction(number, "acme", FIRST + edge + number) for number in range(4)])
    done()
    until = to_datetime(minute_of(time.time()) + 1)

    def since(minute: int) -> int:
        return int(summary(tenant, to_datetime(FIRST + minute), until)["interactions"]["total"])

    for _ in range(5):
        assert since(7) == 4
    with connection.cursor() as cursor:  # behind everybody's back
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count + 100 WHERE resolution = 1")
    assert since(edge + 1) == 3
    send(interaction(9, "acme", FIRST + edge + 1))
    roll_up(time.time())
    assert since(edge + 1) > 4


def test_the_points_of_one_question_are_not_those_of_another() -> None:
    send(interaction(1, "acme", FIRST, model_used="a"), interaction(2, "acme", FIRST, model_used="b"))
    roll_up(time.time())
    assert points("acme", 10) == [2.0, 0]
    assert points("acme", 10, Question("response_time", "max")) == [1002, None]
    assert points("acme", 10, Question("response_time", "min")) == [1001, None]
    assert points("acme", 10, Question("model_usage", "count")) == [2.0, 0]
    assert points("acme", 10, Question("model_usage", "count", "model")) == [1.0, 0]
    for _ in range(2):
        assert per_minute("acme", to_datetime(FIRST), to_datetime(FIRST + 5))[0]["interactions"] == 2


def test_minutes_whose_batches_are_forgotten_are_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    send(interaction(1, "acme", FIRST))
    roll_up(time.time())
    assert total("acme") == 1
    monkeypatch.setattr("apps.monitoring.rollup.retention._PROOF", timedelta(days=-1))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_metricsnapshot SET count = count + 100 WHERE resolution = 1")
    assert total("acme") > 100


@pytest.mark.parametrize("dropped", [Resolution.MINUTE, Resolution.HOUR], ids=["minutes", "hours"])
@pytest.mark.parametrize("tenant", ["acme", None], ids=["one tenant", "all together"])
def test_records_that_are_merged_into_what_is_remembered_are_in_the_next_answer(
    dropped: Resolution, tenant: str | None
) -> None:
    first = Resolution.DAY.floor(minute_of(time.time())) - 9 * Resolution.DAY
    send(*[interaction(number, "acme", first + number * Resolution.DAY + 1) for number in range(3)])
    done()
    now = timezone.now()
    for gone in Resolution:
        if gone <= dropped:
            assert floors.move(gone, to_datetime(first + 3 * Resolution.DAY), now)

    def answer() -> int:
        found = summary(tenant, to_datetime(first), to_datetime(first + 2 * Resolution.DAY + 5 * 60))
        return int(found["interactions"]["total"])

    assert answer() == 3
    send(interaction(9, "acme", first + 1), interaction(9, "acme", first + 2 * Resolution.DAY + 61))
    roll_up(time.time())
    assert answer() == 5
    if dropped is Resolution.MINUTE:
        assert compact()  # the days
    assert answer() == 5


def test_late_records_are_in_the_next_answer() -> None:
    for late in range(3):
        send(interaction(late, "acme", FIRST + late * 60))
        done()
        assert (total("acme"), total(None)) == (late + 1, late + 1)


def test_it_does_not_grow_without_bound() -> None:
    remembered._begin_anew()
    for number in range(200):
        assert remembered.each([("a test", number)], lambda _: [b"x" * 1_000_000], len) == [b"x" * 1_000_000]
    assert remembered._size <= 64_000_000
    assert len(remembered._known) == 63
    assert ("a test", 199) in remembered._known


def test_keys_of_many_pieces_count_as_what_they_take() -> None:
    """As the charts of 30,000 tenants that have little have them."""
    remembered._begin_anew()
    tracemalloc.start()
    try:
        for number in range(30_000):
            key = (f"tenant-{number}", 1, "interactions", tuple(made_anew(minute) for minute in range(FIRST, FIRST + 10)))
            remembered.each([key], lambda _: [{FIRST: 1.0}], lambda _: 16)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        remembered._begin_anew()
    assert 50_000_000 < taken < 64_000_000


def made_anew(minute: int) -> Piece:
    return Piece(Resolution.MINUTE, minute, (1, to_datetime(minute)))
