"""Budgets and changes from recorded minutes to notifications, against numbers worked out by hand."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import call_command

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.alerts.measure import Windows
from apps.monitoring.core.clock import isoformat, to_minute
from apps.monitoring.core.judging import NOTHING, Measured
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.rules import Rule
from apps.monitoring.ingest.buffer import Event
from apps.monitoring.models import AlertTransition, EvaluationProgress, Notification
from apps.monitoring.rollup import retention
from tests.integration.alerts.judged import channel, rule
from tests.integration.ingest.hot import interaction
from tests.integration.rollup.stored import compact, roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


def at(text: str) -> int:
    return to_minute(datetime.fromisoformat(text).replace(tzinfo=UTC))


def spend(when: str, dollars: float, tenant: str = "acme", times: int = 1) -> list[Event]:
    return [interaction(n, tenant, at(when), estimated_cost=dollars) for n in range(times)]


def judge(until: str) -> None:
    """Everything before a moment is rolled up and judged, at that moment."""
    now = at(until) * 60.0 + 6
    roll_up(now)
    evaluate(now)


def begin(when: str) -> None:
    """The next minute that is judged: what lies between is passed over."""
    start = datetime.fromisoformat(when).replace(tzinfo=UTC)
    EvaluationProgress.objects.update_or_create(id=1, defaults={"next_minute": start, "ran_at": start})


def history(name: str, tenant: str = "acme") -> list[tuple[str, str, float | None]]:
    lines = AlertTransition.objects.filter(rule_name=name, tenant=tenant, event="transition")
    return [(f"{line.minute:%d %H:%M}", line.state, line.value) for line in lines]


BUDGET: dict[str, Any] = {
    "metric": "cost", "statistic": "sum", "budget": "day", "threshold": 10.0, "window_minutes": 60, "cooldown_minutes": 1_440,
}  # fmt: skip


def test_a_budget_fires_when_it_is_spent_and_begins_anew_at_midnight_of_the_place(settings: Any) -> None:
    settings.MONITORING_TIME_ZONE = "Europe/Berlin"  # midnight is 23:00 UTC
    channel()
    rule("budget", **BUDGET)
    send(*spend("2026-01-05T22:50", 8.0), *spend("2026-01-05T23:10", 3.0), *spend("2026-01-06T00:10", 6.0))
    send(*spend("2026-01-06T22:40", 1.5), *spend("2026-01-06T23:20", 4.0))
    begin("2026-01-05T23:00")
    judge("2026-01-05T23:15")
    begin("2026-01-06T00:05")
    judge("2026-01-06T00:15")
    begin("2026-01-06T22:35")
    judge("2026-01-06T22:45")
    # 8 + 3 lie on two days; 3 + 6 + 1.5 on one.
    assert history("budget") == [("06 22:40", "firing", 10.5)]
    judge("2026-01-06T23:05")
    judge("2026-01-06T23:25")
    assert history("budget")[1:] == [("06 23:00", "resolved", None)]
    assert AlertTransition.objects.latest("id").reason == "no data"
    (told, _) = Notification.objects.order_by("minute")
    assert told.payload["text"] == "budget is firing for acme: sum of cost > $10 over the day."
    assert (told.payload["rule"]["budget"], told.payload["rule"]["unit"]) == ("day", "USD")


def test_a_monthly_budget_adds_up_the_month_also_from_hours_and_days() -> None:
    rule("budget", **BUDGET | {"budget": "month", "threshold": 30.0})
    send(*spend("2025-12-31T23:59", 100.0), *(event for day in range(1, 29) for event in spend(f"2026-01-{day:02}T12:00", 1.0)))
    roll_up(at("2026-01-28T13:00") * 60.0)
    compact()
    send(*spend("2026-01-28T13:10", 1.5), *spend("2026-01-28T13:12", 2.0))
    begin("2026-01-28T13:00")
    judge("2026-01-28T13:20")
    assert history("budget") == [("28 13:12", "firing", 31.5)]
    send(*spend("2026-01-31T23:59", 1.0), *spend("2026-02-01T00:01", 29.0))
    begin("2026-01-31T23:55")
    judge("2026-02-01T00:10")
    assert history("budget")[1:] == [("01 00:00", "resolved", None)]


def test_a_forecast_tells_hours_before_it_happens() -> None:
    rule("spent", **BUDGET)
    rule("will-be-spent", **BUDGET | {"statistic": "forecast", "window_minutes": 60})
    # A cent a minute would be 14.40 dollars a day, from 6:00 on 10.80; so many minutes of it are in the window.
    send(*(event for n in range(120) for event in spend(f"2026-01-05T{6 + n // 60:02}:{n % 60:02}", 0.01)))
    begin("2026-01-05T06:00")
    judge("2026-01-05T07:10")
    (fired, *_) = history("will-be-spent")
    # n cents so far, n of the window's 60 minutes; 0.01 n + 0.01 n / 60 * (1080 - n) > 10 from the 56th minute on.
    assert fired[:2] == ("05 06:55", "firing")
    assert fired[2] == pytest.approx(0.56 + 0.56 / 60 * (1_440 - 360 - 56))
    assert history("spent") == []


def test_a_forecast_does_without_what_was_spent_before_the_period_but_for_its_rate() -> None:
    send(*spend("2026-01-05T23:30", 6.0), *spend("2026-01-06T00:10", 1.0))
    roll_up(at("2026-01-06T00:30") * 60.0)
    given: dict[str, Any] = {"name": "r", "metric": "cost", "operator": "gt", "threshold": 1.0, "budget": "day", "window": 60}
    seen = {name: Windows(at("2026-01-06T00:19")).measure(Rule(statistic=name, **given)) for name in ("sum", "forecast")}
    assert seen["sum"]["acme"] == Measured(1.0, 1)
    assert seen["forecast"]["acme"] == Measured(1.0 + 7.0 / 60 * (1_440 - 20), 2)
    later = Windows(at("2026-01-06T12:00")).measure(Rule(statistic="forecast", **given))
    assert later["acme"] == Measured(1.0, 1)  # nothing for an hour: nothing more to come


def test_tenants_and_models_have_their_own_budgets() -> None:
    send(*spend("2026-01-05T10:00", 4.0), *spend("2026-01-05T10:00", 7.0, "bolt"))
    send(interaction(9, "bolt", at("2026-01-05T10:01"), estimated_cost=2.0, model_used="mini"))
    roll_up(at("2026-01-05T11:00") * 60.0)
    given: dict[str, Any] = {
        "name": "r",
        "metric": "cost",
        "statistic": "sum",
        "operator": "gt",
        "threshold": 1.0,
        "budget": "month",
    }

    def seen(**more: Any) -> dict[str, float | None]:
        return {name: one.value for name, one in Windows(at("2026-01-05T10:30")).measure(Rule(**given, **more)).items()}

    assert seen() == {"acme": 4.0, "bolt": 9.0}
    assert seen(scope="global") == {"": 13.0}
    assert seen(scope="one_tenant", tenant="bolt") == {"bolt": 9.0}
    assert seen(label_filter={"model": "mini"}) == {"bolt": 2.0}


def test_a_change_is_against_the_same_window_so_long_before() -> None:
    for when, times in (("2025-12-29T10:00", 40), ("2026-01-04T10:03", 20), ("2026-01-05T10:01", 30)):
        send(*(interaction(n, "acme", at(when)) for n in range(times)))
    send(*(interaction(n, "bolt", at("2026-01-05T10:01")) for n in range(50)))
    roll_up(at("2026-01-05T11:00") * 60.0)
    compact()
    given: dict[str, Any] = {"name": "r", "metric": "interactions", "statistic": "count", "operator": "gt", "threshold": 40.0}

    def seen(against: str, minute: str, tenant: str = "acme") -> Measured:
        return Windows(at(minute)).measure(Rule(**given, change_against=against)).get(tenant, NOTHING)

    assert seen("day", "2026-01-05T10:03") == Measured(50.0, 20)
    assert seen("week", "2026-01-05T10:04") == Measured(-25.0, 30)
    assert seen("day", "2026-01-05T10:02") == NOTHING, "a day before, the window ended before the records"
    assert seen("week", "2026-01-05T10:05") == NOTHING
    assert seen("day", "2026-01-05T10:06") == NOTHING, "nothing now"
    assert seen("day", "2026-01-05T10:03", "bolt") == NOTHING, "from nothing there is no change"


def test_a_rise_against_the_day_before_fires_and_a_tenant_without_one_does_not() -> None:
    channel()
    given = {"metric": "interactions", "statistic": "count", "change_against": "day", "window_minutes": 5, "min_samples": 10}
    rule("surge", threshold=100.0, **given)
    rule("slump", operator="lt", threshold=-50.0, **given)
    rule("silence-is-an-alarm", threshold=1e9, no_data="alert", **given)
    for when, tenant, times in (
        ("2026-01-04T10:00", "acme", 20), ("2026-01-05T10:00", "acme", 41),
        ("2026-01-04T10:00", "bolt", 41), ("2026-01-05T10:00", "bolt", 20),
        ("2026-01-04T10:00", "cyan", 9), ("2026-01-05T10:00", "cyan", 41),
        ("2026-01-05T10:00", "dune", 41),
    ):  # fmt: skip
        send(*(interaction(n, tenant, at(when)) for n in range(times)))
    begin("2026-01-05T10:00")
    judge("2026-01-05T10:07")
    assert history("surge") == [("05 10:00", "firing", 105.0), ("05 10:05", "resolved", None)]
    assert [line[:2] for line in history("slump", "bolt")] == [("05 10:00", "firing"), ("05 10:05", "resolved")]
    for tenant in ("cyan", "dune"):
        assert history("surge", tenant) == history("slump", tenant) == []
        assert history("silence-is-an-alarm", tenant) == [("05 10:00", "firing", None)]
    reasons = dict(
        AlertTransition.objects.filter(rule_name="silence-is-an-alarm", event="transition").values_list("tenant", "reason")
    )
    assert reasons["cyan"].startswith("no value: 9 of 10 samples")
    assert reasons["dune"].startswith("nothing to compare: both windows, now and a day before, need data")
    (told, *_) = Notification.objects.filter(rule__name="surge").order_by("minute")
    assert told.payload["rule"]["unit"] == "%"
    assert "change of count of interactions against the day before > 100 % over 5 minutes" in told.payload["text"]


@pytest.mark.parametrize("given", [BUDGET, BUDGET | {"statistic": "forecast"}, {
    "metric": "cost", "statistic": "mean", "change_against": "day", "threshold": 50.0, "window_minutes": 30,
}])  # fmt: skip
def test_a_backtest_tells_what_the_evaluation_told(given: dict[str, Any], settings: Any) -> None:
    settings.MONITORING_TIME_ZONE = "America/St_Johns"
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9
    channel(), rule("tried", **given | {"min_samples": 1, "cooldown_minutes": 15})
    for n in range(0, 90, 6):  # the day begins at 3:30
        when = f"{3 + n // 60:02}:{n % 60:02}"
        send(*spend(f"2026-01-04T{when}", 1.0, times=3), *spend(f"2026-01-05T{when}", 0.05 * min(n, 90 - n), times=3))
    begin("2026-01-05T03:00")
    judge("2026-01-05T04:40")
    out = io.StringIO()
    call_command("backtest", "tried", "--json", "--from=2026-01-05T03:00:00Z", "--to=2026-01-05T04:40:00Z", stdout=out)
    (answer,) = json.loads(out.getvalue())["instances"]
    lines = AlertTransition.objects.filter(event="transition").order_by("id")
    assert lines
    assert [(one["minute"], one["state"], one["value"], one["reason"]) for one in answer["transitions"]] == [
        (isoformat(to_minute(line.minute)), line.state, line.value, line.reason) for line in lines
    ]


@pytest.mark.parametrize(
    ("given", "days"),
    [({}, 7), (BUDGET, 7), (BUDGET | {"budget": "month"}, 33), ({"change_against": "week", "window_minutes": 43_200}, 39)],
)
def test_minutes_are_kept_as_long_as_a_rule_looks_back(given: dict[str, Any], days: int, settings: Any) -> None:
    settings.MONITORING_RETENTION_MINUTE_DAYS = 7
    rule("looks-back", **given)
    assert retention.kept_days(Resolution.MINUTE) == days


def test_minutes_without_records_are_judged_while_a_budget_may_say_something() -> None:
    rule("budget", **BUDGET | {"budget": "month", "operator": "gt", "threshold": 5.0, "for_minutes": 200})
    send(*spend("2026-01-05T10:00", 6.0))
    begin("2026-01-05T10:00")
    judge("2026-01-05T14:00")
    assert [line[:2] for line in history("budget")] == [("05 10:00", "pending"), ("05 13:20", "firing")]
