"""The page that says why a rule did or did not notify in a minute."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html

from apps.monitoring.alerts.explain import explain
from apps.monitoring.alerts.explanation import steps
from apps.monitoring.conf import conf
from apps.monitoring.core.clock import isoformat, to_datetime, to_minute
from apps.monitoring.core.rules import Scope
from apps.monitoring.models import Alert, AlertRule, AlertTransition
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH
from apps.monitoring.query import window
from apps.monitoring.query.errors import QueryError
from apps.monitoring.query.source import watermark

_FORMAT: Final = "%Y-%m-%dT%H:%M"
_AROUND: Final = (-5, -1, 1, 5)
"""Minutes before and after, to go on from."""


class QuestionForm(forms.Form):
    """Whom, and when: a minute by its start, in UTC."""

    tenant = forms.CharField(max_length=TENANT_MAX_LENGTH, required=False)
    minute = forms.DateTimeField(
        input_formats=[_FORMAT, f"{_FORMAT}:%S", f"{_FORMAT}Z", f"{_FORMAT}:%SZ"],
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format=_FORMAT),
        label="Minute (UTC)",
    )

    def clean_minute(self) -> datetime:
        """One of which something could be known."""
        try:
            return window.within(self.cleaned_data["minute"], "The minute")
        except QueryError as error:
            raise forms.ValidationError(f"{error}.") from None


def address(rule: int, tenant: str, minute: datetime) -> str:
    """The page of one minute."""
    asked = {"tenant": tenant, "minute": minute.astimezone(UTC).strftime(_FORMAT)}
    return f"{reverse('admin:monitoring_alertrule_explain', args=[rule])}?{urlencode(asked)}"


def link(line: AlertTransition | Alert) -> str:
    """A link to why, from a line of the history or an alert; empty when the rule was deleted."""
    if line.rule_id is None:
        return ""
    minute = line.minute if isinstance(line, AlertTransition) else line.fired_at
    return format_html('<a href="{}">explain</a>', address(line.rule_id, line.tenant, minute))


def page(request: HttpRequest, site: AdminSite, rule: AlertRule) -> HttpResponse:
    """The form, and the answer when something is asked. Whoever may see the rule may ask."""
    asked = QuestionForm(request.GET if "minute" in request.GET else None, initial=_latest(rule))
    if rule.scope != Scope.EVERY_TENANT:
        # Of a rule that judges one alone, or all together, there is nobody to choose.
        del asked.fields["tenant"]
    context = {
        **site.each_context(request),
        "title": f"Why did {rule} notify, or not?",
        "opts": AlertRule._meta,  # noqa: SLF001 - Django's public name
        "rule": rule,
        "form": asked,
        **(_answer(rule, asked) if asked.is_bound and asked.is_valid() else {}),
    }
    return render(request, "admin/monitoring/alertrule/explain.html", context)


def _answer(rule: AlertRule, asked: QuestionForm) -> dict[str, Any]:
    tenant = asked.cleaned_data.get("tenant") or None
    minute = to_minute(asked.cleaned_data["minute"])
    around = [(f"{step:+d} min", address(rule.pk, tenant or "", to_datetime(minute + step))) for step in _AROUND]
    try:
        found = explain(rule, tenant, minute)
    except QueryError as error:
        return {"problem": f"{error}.", "around": around}
    return {"found": found, "at": isoformat(minute), "steps": steps(found), "around": around}


def _latest(rule: AlertRule) -> dict[str, Any]:
    """The last line of the rule's history, or the last complete minute."""
    line = AlertTransition.objects.filter(rule=rule).order_by("-minute", "-id").first()
    if line is not None:
        return {"tenant": line.tenant, "minute": line.minute}
    until = watermark(conf().shards)
    return {"minute": timezone.now() if until is None else to_datetime(until - 1)}
