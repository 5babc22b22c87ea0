"""How long a trial takes, what it says meanwhile, and who waits for it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client

from apps.monitoring.admin import tryout as panel
from apps.monitoring.alerts import sweep, tryout
from apps.monitoring.core.clock import to_datetime
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.timeline import Timeline
from apps.monitoring.models import Alert, AlertRule
from apps.monitoring.query.deadline import Deadline
from tests.integration.admin.trials import NEW, NOW, body_of, finished, told, values

pytestmark = pytest.mark.usefixtures("stores")

RULE = AlertRule(
    name="x", metric="response_time", statistic="max", operator="gt", threshold=5_000, window_minutes=1, min_samples=1
)


class Clock:
    """Goes on by a second whenever an hour of a tenant was read."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def test_the_time_that_one_trial_takes_is_bounded_and_what_was_left_out_is_said(
    played: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    Alert.objects.create(
        rule_name="any",
        tenant="cedar",
        severity="error",
        since=to_datetime(NOW - 9),
        fired_at=to_datetime(NOW - 9),
        threshold=1,
    )
    rule, clock = RULE.definition(), Clock()
    over = tryout.lately(rule, 24, datetime.now(UTC))

    class Timed(tryout.Sweep):
        def __iter__(self) -> Iterator[Frame]:
            yield from super().__iter__()
            clock.seconds += 1

    monkeypatch.setattr(tryout, "Sweep", Timed)
    monkeypatch.setattr(tryout, "_CELLS", 1)
    deadline = Deadline(2.0, clock)
    found = tryout.as_json(finished(tryout.backtest(rule, over, None, deadline)), None, deadline)
    assert (found["tenants_tried"], found["tenants"], found["is_cut"]) == (2, 3, True)
    # First who has had alerts, then by name.
    assert [one["tenant"] for one in found["worst"]] == ["acme"]
    with pytest.raises(tryout.RangeError, match="there was time for 1 of 3 tenants: choose one tenant or a shorter range"):
        finished(tryout.threshold(rule, over, None, 200, Deadline(1.0, clock)))
    monkeypatch.setattr(tryout.Deadline, "again", lambda own: Deadline(0, own._clock))
    with pytest.raises(tryout.RangeError, match="there was no time to try thresholds on 3 tenants: choose one tenant"):
        finished(tryout.threshold(rule, over, None, 200_000, Deadline(9.0, clock)))


@contextmanager
def locked(*tables: str) -> Iterator[None]:
    """Nobody else can read some tables."""
    address = connection.get_connection_params()
    known = {name: address[name] for name in ("host", "port", "user", "password", "dbname") if name in address}
    with psycopg.connect(**known) as other:
        for table in tables:
            other.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.parametrize("table", ["monitoring_metricsnapshot", "monitoring_series", "monitoring_rollupbatch"])
@pytest.mark.parametrize("asked", [{}, {"try_per_week": "200"}, {"try_tenant": "acme"}])
def test_a_database_that_is_slow_is_not_waited_for_any_longer_than_a_trial_has(
    table: str, asked: dict[str, str], played: None, ops: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tryout, "SECONDS_AT_MOST", 0.5)
    with locked(table):
        began = time.monotonic()
        answer = ops.post(NEW, {**values(), **asked})
        said = body_of(answer)["error"]
        assert 0.5 < time.monotonic() - began < 3
    # What comes before the first minute is read has a status of its own.
    assert answer.status_code == (200 if answer.streaming else 503)
    assert said == (
        "the database took longer than 0.5 s: choose one tenant or a shorter range, or take the command in manage.py, which has no "
        "such limit."
    )
    monkeypatch.undo()
    assert body_of(ops.post(NEW, {**values(), **asked}))["unit"] == "ms"


@contextmanager
def slowed(table: str) -> Iterator[None]:
    """What is read from a table comes after ten seconds; a lock would wait for what this transaction has read already."""

    def slow(execute: Callable[..., Any], sql: str, *more: Any) -> Any:
        if table in sql:
            connection.connection.execute("SELECT pg_sleep(10)")
        return execute(sql, *more)

    with connection.execute_wrapper(slow):
        yield


def test_what_was_read_before_the_database_got_slow_is_judged(played: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tryout, "_CELLS", 1)
    rule, deadline = RULE.definition(), Deadline(2.0)
    with tryout.quietly(deadline):
        over = tryout.lately(rule, 24, datetime.now(UTC))
        taken: list[Frame] = []
        reading = tryout._read(rule, over, ["acme", "birch"], deadline, taken.append)
        assert [next(reading) for _ in range(3)] == [0.0, 0.25, 0.5]
        with slowed("monitoring_metricsnapshot"):
            assert finished(reading) == 1
        assert deadline.is_over
        assert [list(frame.tenants) for frame in taken] == [["acme"]]
        # The transaction goes on: the line of who was read can still be drawn.
        found = tryout.Tried(rule, over, Timeline(rule, over.end), 1, 2, "acme")
        assert tryout.as_json(found, None, deadline)["chart"]["tenant"] == "acme"
        deadline._until = 0
        monkeypatch.setattr(tryout, "_DRAWING", 0.2)
        with slowed("monitoring_metricsnapshot"):
            said = tryout.as_json(found, None, deadline)
        assert (said["chart"], said["undrawn"][:28]) == (None, "There was no time left to dr")


class TestHowFarItIs:
    def test_the_share_of_what_is_done_grows_from_nothing_to_all(self, played: None, ops: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(tryout, "_CELLS", 1)
        *lines, body = told(ops.post(NEW, values()))
        shares = [line["share"] for line in lines]
        assert (shares[0], shares[-1], shares) == (0, 1, sorted(shares))
        assert len(shares) == 1 + 3 * 2
        assert body["summary"].startswith("would have fired 3 times")

    def test_one_tenant_and_all_together_are_told_of_day_by_day(self, played: None, ops: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(sweep, "_STEP", 10)
        for asked in ({"try_tenant": "acme"}, {"scope": "global"}):
            *lines, _ = told(ops.post(NEW, {**values(), **asked}))
            assert len(lines) == 1 + 2 * 6, asked

    def test_thresholds_that_are_tried_have_no_end_that_could_be_told(self, played: None, ops: Client) -> None:
        lines = told(ops.post(NEW, values(try_per_week="200")))
        assert [line["share"] for line in lines[-3:-1]] == [1, None]
        assert "computed_from" in lines[-1]

    def test_what_nobody_could_see_is_not_told(self, played: None, ops: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(tryout, "_CELLS", 1)
        monkeypatch.setattr(panel, "_VISIBLE", 0.4)
        shares = [line["share"] for line in told(ops.post(NEW, values()))[:-1]]
        assert shares == [0, pytest.approx(1 / 2), pytest.approx(1)]

    def test_no_proxy_keeps_it_back(self, played: None, ops: Client) -> None:
        answer = ops.post(NEW, values())
        answer.close()
        assert (answer["Content-Type"], answer["X-Accel-Buffering"]) == ("application/x-ndjson", "no")

    @pytest.mark.parametrize("lines", [0, 1])
    def test_who_goes_away_ends_the_trial(self, played: None, ops: Client, lines: int) -> None:
        answer = ops.post(NEW, values())
        if lines:
            assert json.loads(next(iter(answer.streaming_content))) == {"share": 0}
        assert connection.in_atomic_block
        answer.close()
        assert not connection.in_atomic_block
        assert body_of(ops.post(NEW, values()))["fired"] == 3

    def test_a_server_that_does_not_wait_tells_it_too(self, played: None, ops: Client, monkeypatch: Any) -> None:
        monkeypatch.setattr(tryout, "_CELLS", 1)
        asked = AsyncClient()
        asked.cookies = ops.cookies

        async def ask() -> list[dict[str, Any]]:
            answer: Any = await asked.post(NEW, values())
            return [json.loads(line) async for line in answer.streaming_content]

        def asking() -> list[dict[str, Any]]:
            try:
                return async_to_sync(ask)()
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as elsewhere:  # tests with a browser leave an event loop in this thread
            lines = elsewhere.submit(asking).result()
        assert [line["share"] for line in lines[:-1]][::6] == [0, 1]
        assert lines[-1]["fired"] == 3


def test_one_rule_is_tried_at_a_time(played: None, ops: Client) -> None:
    address = connection.get_connection_params()
    known = {name: address[name] for name in ("host", "port", "user", "password", "dbname") if name in address}
    with psycopg.connect(**known) as other:
        other.execute("SELECT pg_advisory_xact_lock(%s, 0)", [tryout._LOCK])
        answer = ops.post(NEW, values())
        assert (answer.status_code, "another rule is being tried" in answer.json()["error"]) == (503, True)
    assert body_of(ops.post(NEW, values()))["fired"] == 3
