"""Rules: what the form shows is what runs."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from apps.monitoring.catalogue import METRICS, RATIOS
from apps.monitoring.models import AlertRule, AlertState
from tests.integration.admin.pages import HOME, HOSTILE, act, errors, form, page
from tests.integration.admin.rows import MOMENT, fire

pytestmark = pytest.mark.django_db


def test_what_the_form_shows_is_what_runs(admin_client: Client) -> None:
    assert admin_client.post(f"{HOME}/alertrule/add/", form(recovery_threshold="2000")).status_code == 302
    ran = AlertRule.objects.get(name="mine").definition()
    assert (ran.metric, ran.statistic, ran.operator) == ("response_time", "p95", "gt")
    assert (ran.threshold, ran.recovery_threshold) == (2500.5, 2000.0)
    assert (ran.window, ran.min_samples, ran.pending_for) == (7, 3, 2)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("metric", "no_such_metric"),
        ("statistic", "ratio"),
        ("operator", "nearly"),
        ("threshold", "nan"),
        ("threshold", ""),
        ("recovery_threshold", "9000"),
        ("window_minutes", "0"),
        ("window_minutes", "999999"),
        ("tenant", "airline"),
        ("label_filter", '{"model": "gpt-4o"}'),
        ("label_filter", "[1]"),
        ("label_filter", "{"),
        ("message_template", "{password}"),
        ("message_template", "{"),
        ("runbook_url", "javascript:alert(1)"),
        ("name", "response-time-p95"),
        ("change_against", "year"),
        ("budget", "year"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_beside_the_field(
    admin_client: Client, rule: AlertRule, field: str, value: str
) -> None:
    found = errors(admin_client.post(f"{HOME}/alertrule/add/", form(**{field: value})))
    assert set(found) == {field}
    assert not AlertRule.objects.filter(name="mine").exists()


def test_a_change_and_a_budget_are_what_the_form_shows(admin_client: Client, settings: Any) -> None:
    settings.MONITORING_TIME_ZONE = "Europe/Berlin"
    assert admin_client.post(f"{HOME}/alertrule/add/", form(change_against="week", threshold="50")).status_code == 302
    money = {"metric": "cost", "statistic": "forecast", "budget": "month", "window_minutes": "10080"}
    assert admin_client.post(f"{HOME}/alertrule/add/", form(name="money", **money)).status_code == 302
    change, budget = (AlertRule.objects.get(name=name).definition() for name in ("mine", "money"))
    assert (change.change_against, change.budget) == ("week", "")
    assert (budget.change_against, budget.budget, budget.time_zone) == ("", "month", "Europe/Berlin")
    listed = page(admin_client, "alertrule/")
    assert "change of p95 of response_time against the week before &gt; 50 % over 7 minutes" in listed
    assert "forecast of cost &gt; $2500.50 over the month" in listed


def test_the_form_offers_every_metric_with_its_meaning(admin_client: Client) -> None:
    form = page(admin_client, "alertrule/add/")
    (offered,) = re.findall(r'<input [^>]*name="metric"[^>]* list="([^"]+)"', form)
    listed = form.partition(f'<datalist id="{offered}">')[2].partition("</datalist>")[0]
    found = {name: unescape(meaning) for name, meaning in re.findall(r'<option value="([^"]+)">([^<]+)</option>', listed)}
    assert found == {one.name: one.meaning for one in (*METRICS.values(), *RATIOS.values())}


def test_operators_read_as_people_write_them(admin_client: Client, rule: AlertRule) -> None:
    new, saved = page(admin_client, "alertrule/add/"), page(admin_client, f"alertrule/{rule.pk}/change/")
    for shown, chosen in ((new, ""), (saved, "gt")):
        select = shown.partition('<select name="operator"')[2].partition("</select>")[0]
        options = re.findall(r'<option value="(\w*)"( selected)?>([^<]+)</option>', select)
        assert {value: unescape(text) for value, _, text in options} == {
            "": "---------", "gt": "> (gt)", "gte": "≥ (gte)", "lt": "< (lt)", "lte": "≤ (lte)", "eq": "= (eq)",
        }  # fmt: skip
        assert [value for value, selected, _ in options if selected] == [chosen]


@pytest.mark.parametrize("empty", ["", "null", "{}"])
def test_an_empty_label_filter_is_none(admin_client: Client, empty: str) -> None:
    assert admin_client.post(f"{HOME}/alertrule/add/", form(label_filter=empty)).status_code == 302
    assert AlertRule.objects.get(name="mine").label_filter == {}


def test_the_list_says_in_words_what_runs_and_for_how_many_it_fires(admin_client: Client, rule: AlertRule) -> None:
    for tenant in ("airline", "retail"):
        fire(rule, tenant)
    AlertState.objects.create(rule=rule, tenant="telecom", status="pending", since=MOMENT)
    AlertRule.objects.filter(pk=rule.pk).update(error=f"it broke {HOSTILE}")
    listed = page(admin_client, "alertrule/")
    assert "p95 of response_time &gt; 5 s over 5 min" in listed
    assert '<td class="field-firing">2</td>' in listed
    assert "it broke &lt;script&gt;" in listed
    assert HOSTILE not in listed


def test_a_rule_that_cannot_work_any_more_can_be_disabled_and_not_enabled(admin_client: Client, rule: AlertRule) -> None:
    AlertRule.objects.filter(pk=rule.pk).update(metric="gone")
    assert "is disabled" in act(admin_client, "alertrule", "disable", rule)
    assert not AlertRule.objects.get(pk=rule.pk).enabled
    assert "stays as it is" in act(admin_client, "alertrule", "enable", rule)
    assert not AlertRule.objects.get(pk=rule.pk).enabled
    assert LogEntry.objects.filter(object_id=str(rule.pk)).count() == 1
