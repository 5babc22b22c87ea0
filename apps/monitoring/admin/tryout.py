"""The answers of the panel in which a rule is tried before it is saved."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from django import forms
from django.db import OperationalError
from django.http import HttpRequest, JsonResponse
from django.utils import timezone

from apps.monitoring.alerts import tryout
from apps.monitoring.core.rules import Scope
from apps.monitoring.models import AlertRule, Series
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH
from apps.monitoring.query.deadline import Deadline, SlowError
from apps.monitoring.query.errors import QueryError, UnknownTenantError

RANGES: Final = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
_HOURS: Final = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}
_LATER: Final = HTTPStatus.SERVICE_UNAVAILABLE


class TrialForm(forms.Form):
    """What is asked beside the rule. The names are those of the panel's fields, which are no fields of a rule."""

    try_range = forms.ChoiceField(choices=list(RANGES.items()))
    try_tenant = forms.CharField(max_length=TENANT_MAX_LENGTH, required=False)
    try_per_week = forms.FloatField(min_value=0.01, max_value=10_000, required=False)


def answer(request: HttpRequest, form: forms.ModelForm[AlertRule]) -> JsonResponse:
    """Try the rule as the form has it, unsaved. With ``try_per_week`` a threshold is suggested, else it is backtested.

    400 with what is wrong by field, or with what cannot be done; 503 when it has to be tried again later.
    """
    asked = TrialForm(request.POST)
    # A rule that is tried needs no name, and may have one that is taken.
    wrong = {field: texts for field, texts in {**form.errors, **asked.errors}.items() if field != "name"}
    if wrong:
        return JsonResponse({"errors": wrong}, status=HTTPStatus.BAD_REQUEST)
    deadline = Deadline(tryout.SECONDS_AT_MOST)
    try:
        with tryout.quietly(deadline):
            return JsonResponse(_tried(form.instance, asked.cleaned_data, deadline))
    except tryout.BusyError as error:
        return JsonResponse({"error": f"{error}."}, status=_LATER)
    except SlowError as error:
        return JsonResponse({"error": f"{error}: {tryout.REMEDY}."}, status=_LATER)
    except QueryError as error:
        return JsonResponse({"error": f"{error}."}, status=HTTPStatus.BAD_REQUEST)
    except OperationalError:
        return JsonResponse({"error": "The database does not answer: try again in a moment."}, status=_LATER)


def _tried(rule: AlertRule, asked: dict[str, Any], deadline: Deadline) -> dict[str, Any]:
    definition = rule.definition()
    tenant = asked["try_tenant"] if rule.scope == Scope.EVERY_TENANT and asked["try_tenant"] else None
    if tenant is not None and not Series.objects.filter(tenant=tenant).exists():
        raise UnknownTenantError(tenant)
    over = tryout.lately(definition, _HOURS[asked["try_range"]], timezone.now())
    if asked["try_per_week"]:
        return tryout.threshold(definition, over, tenant, asked["try_per_week"], deadline)
    return tryout.as_json(tryout.backtest(definition, over, tenant, deadline), tenant, deadline)
