"""A rule is tried in its form before it is saved, and begins with what somebody looked at on the dashboard."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.test import Client

from apps.monitoring.admin import tryout as panel
from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.models import AlertRule, RetentionFloor
from tests.integration.admin.pages import HOME, HOSTILE, form, page
from tests.integration.admin.trials import NEW, NOW, START, body_of, values, written
from tests.integration.rollup.stored import roll_up

pytestmark = pytest.mark.usefixtures("stores")


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
