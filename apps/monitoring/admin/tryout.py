"""The answers of the panel in which a rule is tried before it is saved."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Generator
from contextlib import closing
from http import HTTPStatus
from itertools import chain
from typing import Any, Final

from asgiref.sync import sync_to_async
from django import forms
from django.core.handlers.asgi import ASGIRequest
from django.core.serializers.json import DjangoJSONEncoder
from django.db import OperationalError
from django.http import HttpRequest, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.utils import timezone

from apps.monitoring.alerts import tryout
from apps.monitoring.core.rules import Scope
from apps.monitoring.models import AlertRule, Series
from apps.monitoring.models.snapshot import TENANT_MAX_LENGTH
from apps.monitoring.query.deadline import Deadline, SlowError
from apps.monitoring.query.errors import QueryError, UnknownTenantError

RANGES: Final = {"24h": "24 hours", "7d": "7 days", "30d": "30 days"}
_HOURS: Final = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24}
_VISIBLE: Final = 0.01
"""Of the whole work: less is not told."""


class TrialForm(forms.Form):
    """What is asked beside the rule. The names are those of the panel's fields, which are no fields of a rule."""

    try_range = forms.ChoiceField(choices=list(RANGES.items()))
    try_tenant = forms.CharField(max_length=TENANT_MAX_LENGTH, required=False)
    try_per_week = forms.FloatField(min_value=0.01, max_value=10_000, required=False)


def answer(request: HttpRequest, form: forms.ModelForm[AlertRule]) -> HttpResponseBase:
    """Try the rule as the form has it, unsaved. With ``try_per_week`` a threshold is suggested, else it is backtested.

    Lines of JSON: ``share`` is how much is done (null: that cannot be told), the last one is the answer, or an ``error``. 400
    with what is wrong by field, or with what cannot be done; 503 when it has to be tried again later.
    """
    asked = TrialForm(request.POST)
    # A rule that is tried needs no name, and may have one that is taken.
    wrong = {field: texts for field, texts in {**form.errors, **asked.errors}.items() if field != "name"}
    if wrong:
        return JsonResponse({"errors": wrong}, status=HTTPStatus.BAD_REQUEST)
    lines = _lines(_steps(form.instance, asked.cleaned_data))
    try:
        next(lines)
    except (QueryError, OperationalError) as error:
        return JsonResponse({"error": _said(error)}, status=_status(error))
    return StreamingHttpResponse(
        _one_by_one(lines) if isinstance(request, ASGIRequest) else lines,
        content_type="application/x-ndjson",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},  # a proxy that waits for the end hides the rest
    )


def _lines(steps: Generator[dict[str, Any], None, None]) -> Generator[bytes, None, None]:
    """The first one is empty: what is wrong before it is raised, and to close what has begun ends the trial."""
    with closing(steps):
        first = next(steps)
        yield b""
        try:
            for one in chain([first], steps):
                yield _line(one)
        except (QueryError, OperationalError) as error:
            yield _line({"error": _said(error)})


def _line(one: dict[str, Any]) -> bytes:
    return json.dumps(one, cls=DjangoJSONEncoder).encode() + b"\n"


async def _one_by_one(lines: Generator[bytes, None, None]) -> AsyncIterator[bytes]:
    """The same for a server that does not wait: all of it in the one thread that has the transaction."""
    try:
        while line := await sync_to_async(lambda: next(lines, b""))():
            yield line
    finally:
        await sync_to_async(lines.close)()


def _steps(rule: AlertRule, asked: dict[str, Any]) -> Generator[dict[str, Any], None, None]:
    """How much is done, each time that there is something to see, and the answer."""
    deadline = Deadline(tryout.SECONDS_AT_MOST)
    with tryout.quietly(deadline):
        work, told = _tried(rule, asked, deadline), -1.0
        while True:
            try:
                share = next(work)
            except StopIteration as end:
                found: dict[str, Any] = end.value
                break
            if share is None or share - told >= _VISIBLE:
                told = told if share is None else share
                yield {"share": share}
    yield found  # somebody who reads it slowly keeps nobody from a trial


def _tried(rule: AlertRule, asked: dict[str, Any], deadline: Deadline) -> tryout.Work[dict[str, Any]]:
    definition = rule.definition()
    tenant = asked["try_tenant"] if rule.scope == Scope.EVERY_TENANT and asked["try_tenant"] else None
    if tenant is not None and not Series.objects.filter(tenant=tenant).exists():
        raise UnknownTenantError(tenant)
    over = tryout.lately(definition, _HOURS[asked["try_range"]], timezone.now())
    if asked["try_per_week"]:
        return (yield from tryout.threshold(definition, over, tenant, asked["try_per_week"], deadline))
    found = yield from tryout.backtest(definition, over, tenant, deadline)
    return tryout.as_json(found, tenant, deadline)


def _said(error: Exception) -> str:
    if isinstance(error, SlowError):
        return f"{error}: {tryout.REMEDY}."
    return f"{error}." if isinstance(error, QueryError) else "The database does not answer: try again in a moment."


def _status(error: Exception) -> HTTPStatus:
    later = isinstance(error, tryout.BusyError | SlowError) or not isinstance(error, QueryError)
    return HTTPStatus.SERVICE_UNAVAILABLE if later else HTTPStatus.BAD_REQUEST
