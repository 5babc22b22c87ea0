"""The page that ops look at."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import wraps
from typing import Any, Final

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth.models import AbstractUser, AnonymousUser
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from apps.monitoring.dashboard import panels
from apps.monitoring.query import cache, series, summary, window
from apps.monitoring.query.errors import QueryError, UnknownTenantError

_WINDOW: Final = "15m"
_POLICY: Final = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
_DATABASE_AWAY: Final = "The database does not answer."
_HIDDEN: Final = "Hidden: your account lacks the permission “Can view alert”, which an administrator can give it."

View = Callable[[HttpRequest], HttpResponse]


def _guarded(view: View) -> View:
    """Nothing on the page comes from elsewhere, and nothing in it runs that is not one of our files."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponse:
        answer = view(request)
        answer["Content-Security-Policy"] = _POLICY
        answer["Referrer-Policy"] = "same-origin"
        return answer

    return guarded


@never_cache
@_guarded
@staff_member_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page with its first numbers; it then asks `data` for newer ones."""
    tenant, chosen = _choice(request)
    first, _ = _read(request.user, tenant, chosen)
    return render(
        request,
        "monitoring/dashboard.html",
        {
            "tenant": tenant or "",
            "windows": window.OFFERED,
            "window": chosen,
            "first": first,
            "may_add_rules": request.user.has_perm("monitoring.add_alertrule"),
        },
    )


@never_cache
def data(request: HttpRequest) -> JsonResponse:
    """Everything that the page shows, of one tenant or of all together, over one window. Errors are one line each."""
    try:
        known = request.user.is_active and request.user.is_staff
    except (OperationalError, InterfaceError):
        return JsonResponse({"error": _DATABASE_AWAY}, status=503)
    if not known:
        return JsonResponse({"error": "You are signed out: load the page again."}, status=401)
    body, status = _read(request.user, *_choice(request))
    return JsonResponse(body, status=status)


def _choice(request: HttpRequest) -> tuple[str | None, str]:
    """The tenant (None: all together) and one of the windows."""
    asked = request.GET.get("window", _WINDOW)
    return request.GET.get("tenant") or None, asked if asked in window.OFFERED else _WINDOW


def _read(user: AbstractUser | AnonymousUser, tenant: str | None, chosen: str) -> tuple[dict[str, Any], int]:
    """The body and the status of an answer. What fires is there without the hot store, too."""
    now = timezone.now()
    try:
        numbers, status = _numbers(tenant, chosen, now)
        beside = {**_alerts(user, tenant, now), "tenants": panels.tenants(), "now": now.isoformat()}
    except (OperationalError, InterfaceError):
        return {"error": _DATABASE_AWAY}, 503
    return {**numbers, **beside}, status


def _alerts(user: AbstractUser | AnonymousUser, tenant: str | None, now: datetime) -> dict[str, Any]:
    """What fires and fired, for those who get it from the API as well; for others why it is not shown."""
    if not user.has_perm("monitoring.view_alert"):
        return {"firing": None, "history": None, "hidden": _HIDDEN}
    return {"firing": panels.firing(tenant, now), "history": panels.history(tenant), "hidden": ""}


def _numbers(tenant: str | None, chosen: str, now: datetime) -> tuple[dict[str, Any], int]:
    """Those of the cards and the chart, or why there are none."""
    start, end = window.parse(chosen, None, None, now)
    try:
        points = ("points", tenant, start.replace(second=0, microsecond=0), chosen)
        numbers = {
            "summary": summary.shared(tenant, start, end),
            "points": cache.once(points, lambda: series.per_minute(tenant, start, end)),
        }
    except UnknownTenantError as error:
        return {"error": str(error)}, 404
    except QueryError as error:
        return {"error": str(error)}, 503
    return numbers, 200
