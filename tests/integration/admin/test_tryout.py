"""A rule is tried in its form before it is saved, and begins with what somebody looked at on the dashboard."""

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
from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.timeline import Timeline
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, AuditEntry, Notification, RetentionFloor
from apps.monitoring.query.deadline import Deadline
from tests.integration.admin.pages import HOME, HOSTILE, page, staff
from tests.integration.admin.test_rules import form
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")

NOW = minute_of(datetime.now(UTC).timestamp())
START = NOW - 60
NEW = f"{HOME}/alertrule/try/"


@pytest.fixture
def played() -> None:
    """An hour: acme is slow for ten minutes, and again for two; birch for three; cedar never."""
    slow = {"acme": {*range(20, 30), 35, 36}, "birch": {40, 41, 42}, "cedar": set()}
    send(
        *(
            interaction(0, tenant, START + offset, processing_time_ms=9_000.0 if offset in own else 1_000.0 + offset)
            for tenant, own in slow.items()
            for offset in range(55)
        )
    )
    roll_up(NOW * 60.0)


@pytest.fixture
def ops(stores: None) -> Client:
    return staff("add_alertrule", "change_alertrule", "view_alertrule")


def values(**more: Any) -> dict[str, Any]:
    """The form as it stands, and what is asked of the panel."""
    given = {"threshold": "5000", "window_minutes": "1", "min_samples": "1", "for_minutes": "0", "cooldown_minutes": "15"}
    return {**form(**{**given, **more}), "try_range": more.pop("try_range", "24h"), "try_tenant": more.pop("try_tenant", "")}


def told(answer: Any) -> list[dict[str, Any]]:
    """The lines of an answer that is streamed."""
    assert answer.status_code == 200, answer.content
    return [json.loads(line) for line in b"".join(answer.streaming_content).splitlines()]


def body_of(answer: Any) -> dict[str, Any]:
    """The answer itself, or what is wrong."""
    return told(answer)[-1] if answer.streaming else answer.json()


def finished(work: tryout.Work[Any]) -> Any:
    """What comes of it."""
    while True:
        try:
            next(work)
        except StopIteration as end:
            return end.value


def written() -> list[int]:
    models = (AlertRule, Alert, AlertState, AlertTransition, Notification, AuditEntry)
    return [model.objects.count() for model in models]


def test_what_the_unsaved_rule_would_have_done_is_said_and_drawn_and_nothing_is_written(played: None, ops: Client) -> None:
    before = written()
    body = body_of(ops.post(NEW, values(name="", recovery_threshold="3000")))
    assert body["summary"] == "would have fired 3 times, 15 minutes, 1 flap"
    assert [(one["tenant"], one["fired"], one["firing_minutes"]) for one in body["worst"]] == [("acme", 2, 12), ("birch", 1, 3)]
    assert (body["tenants_tried"], body["tenants"], body["is_cut"], body["unit"]) == (3, 3, False, "ms")
    chart = body["chart"]
    assert (chart["tenant"], chart["threshold"], chart["recovery_threshold"], chart["step_seconds"]) == (
        "acme",
        5_000,
        3_000,
        60,
    )
    assert body["from"] == isoformat(START)  # there is nothing before it
    assert chart["greatest"][18:22] == [pytest.approx(v, rel=0.01) for v in (1_018, 1_019, 9_000, 9_000)]
    assert chart["episodes"] == [
        {"from": isoformat(START + first), "to": isoformat(START + last)} for first, last in ((20, 30), (35, 37))
    ]
    assert written() == before


def test_one_tenant_is_drawn_by_itself_and_who_never_fires_is_drawn_too(played: None, ops: Client) -> None:
    body = body_of(ops.post(NEW, values(try_tenant="birch")))
    assert (body["tenants"], body["fired"], body["chart"]["tenant"]) == (1, 1, "birch")
    body = body_of(ops.post(NEW, values(threshold="10000")))
    assert (body["summary"], body["worst"], body["chart"]["tenant"]) == ("would not have fired", [], "acme")
    body = body_of(ops.post(NEW, values(min_samples="99")))
    assert (body["summary"], body["chart"]) == ("would not have fired", None)
    body = body_of(ops.post(NEW, values(scope="global")))
    assert (body["is_each"], body["chart"]["tenant"]) == (False, None)


def test_a_saved_rule_is_tried_with_what_its_form_says_now_and_stays_as_it_is(played: None, ops: Client) -> None:
    rule = AlertRule(name="mine", metric="response_time", statistic="max", operator="gt", threshold=1e9)
    rule.save()
    body = body_of(ops.post(f"{HOME}/alertrule/{rule.pk}/try/", values(name="mine")))
    assert body["fired"] == 3
    rule.refresh_from_db()
    assert (rule.threshold, rule.statistic) == (1e9, "max")


def test_a_threshold_is_suggested_that_fires_as_often_as_wished(played: None, ops: Client) -> None:
    # An hour of data shows what comes about 168 times a week.
    body = body_of(ops.post(NEW, values(try_per_week="200")))
    assert (body["threshold"], body["fired"]) == (9000, 0) or body["threshold"] < 9_000
    again = body_of(ops.post(NEW, values(threshold=str(body["threshold"]))))
    assert again["fired"] == body["fired"]
    assert "too few" in body_of(ops.post(NEW, values(try_per_week="200", min_samples="9")))["reason"]


WRONG = {
    "metric": ("no_such_metric", "there is no metric"),
    "threshold": ("", "This field is required."),
    "recovery_threshold": ("9000", "lies on the breaching side"),
    "statistic": ("ratio", "not ratio"),
    "label_filter": ("{", "valid JSON"),
    "try_range": ("99d", "valid choice"),
    "try_per_week": ("-1", "greater than or equal"),
}


def test_what_is_wrong_is_said_by_field(ops: Client) -> None:
    for field, (value, says) in WRONG.items():
        answer = ops.post(NEW, {**values(name=""), field: value})
        assert answer.status_code == 400, field
        # A missing name is no obstacle: it was not asked to be saved.
        assert set(answer.json()["errors"]) == {field}
        assert says in answer.json()["errors"][field][0]


def test_a_range_without_minutes_and_a_tenant_that_is_none_are_told_of(ops: Client) -> None:
    assert "no minute is rolled up yet" in body_of(ops.post(NEW, values()))["error"]
    roll_up(NOW * 60.0)
    answer = ops.post(NEW, values(try_tenant="nobody"))
    assert (answer.status_code, answer.json()["error"]) == (400, "nothing was ever recorded for tenant 'nobody'.")


def test_it_begins_where_minutes_are_kept(played: None, ops: Client) -> None:
    RetentionFloor.objects.create(resolution=1, ts=to_datetime(START + 25), moved_at=datetime.now(UTC))
    assert body_of(ops.post(NEW, values(window_minutes="3")))["from"] == isoformat(START + 27)


def test_only_who_may_save_a_rule_may_try_one_and_only_with_the_token_of_the_form(played: None, ops: Client) -> None:
    rule = AlertRule(name="mine", metric="response_time", statistic="max", operator="gt", threshold=1)
    rule.save()
    from django.contrib.auth.models import User

    viewer = User.objects.create_user("viewer", is_staff=True)
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(User.objects.get(username="clerk"))
    assert strict.post(NEW, values()).status_code == 403
    assert ops.get(NEW).status_code == 405
    ops.force_login(viewer)
    for address in (NEW, f"{HOME}/alertrule/{rule.pk}/try/"):
        assert ops.post(address, values()).status_code == 403


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


def test_the_panel_is_on_the_form_of_whoever_may_save_it(ops: Client) -> None:
    for value in panel.RANGES:
        assert f'<option value="{value}">' in page(ops, "alertrule/add/")
    rule = AlertRule(name="mine", metric="response_time", statistic="max", operator="gt", threshold=1)
    rule.save()
    assert f'data-url="{HOME}/alertrule/{rule.pk}/try/"' in page(ops, f"alertrule/{rule.pk}/change/")
    assert "needs JavaScript" in page(ops, "alertrule/add/")


def test_the_form_begins_with_what_the_address_says(played: None, ops: Client) -> None:
    asked = "metric=response_time&statistic=p95&operator=gt&threshold=2500&tenant=acme&window_minutes=15"
    begun = ops.get(f"{HOME}/alertrule/add/?{asked}").context["adminform"].form.initial
    assert begun == {
        "metric": "response_time", "statistic": "p95", "operator": "gt", "threshold": 2500.0, "tenant": "acme",
        "window_minutes": 15, "scope": "one_tenant", "name": "response-time-p95-acme",
    }  # fmt: skip
    answer = ops.post(f"{HOME}/alertrule/add/", form(**begun))
    assert answer.status_code == 302
    again = ops.get(f"{HOME}/alertrule/add/?{asked}").context["adminform"].form.initial
    assert again["name"] == "response-time-p95-acme-2"
    ratio = ops.get(f"{HOME}/alertrule/add/?metric=handoff_rate").context["adminform"].form.initial
    assert ratio == {"metric": "handoff_rate", "statistic": "ratio", "operator": "gt", "name": "handoff-rate"}
    together = ops.get(f"{HOME}/alertrule/add/?metric=handoff_rate&scope=global").context["adminform"].form.initial
    assert together["scope"] == "global"
    odd = ops.get(f"{HOME}/alertrule/add/?metric=handoff_rate&scope=everything").context["adminform"].form.initial
    assert "scope" not in odd


NO_RULE = {
    "metric=nonsense&statistic=p95": "metric",
    "metric=cost&statistic=p95": "statistic",
    "metric=cost&statistic=sum&threshold=nan": "threshold",
    "metric=cost&statistic=sum&threshold=much": "threshold",
    "metric=cost&statistic=sum&window_minutes=0": "window_minutes",
    "metric=cost&statistic=sum&operator=nearly": "operator",
    f"metric=cost&statistic=sum&tenant={HOSTILE}": "tenant",
    "metric=cost&statistic=sum&tenant=%00": "tenant",
}


def test_what_an_address_has_that_no_rule_can_have_is_not_taken_over(ops: Client) -> None:
    for asked, left_out in NO_RULE.items():
        answer = ops.get(f"{HOME}/alertrule/add/?{asked}")
        assert left_out not in answer.context["adminform"].form.initial, asked
        assert "Not taken over: " in answer.content.decode()
        assert HOSTILE not in answer.content.decode()


def test_the_dashboard_offers_rules_to_those_who_may_make_them(ops: Client) -> None:
    assert f'data-rule-url="{HOME}/alertrule/add/"' in ops.get("/dashboard/").content.decode()
    from django.contrib.auth.models import User

    viewer = User.objects.create_user("viewer", is_staff=True)
    ops.force_login(viewer)
    assert "data-rule-url" not in ops.get("/dashboard/").content.decode()
