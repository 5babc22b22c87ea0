"""The page that ops look at."""

from __future__ import annotations

from typing import Any

from django.contrib.admin.views.decorators import staff_member_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone

from apps.monitoring.models import Alert, AlertTransition, Series
from apps.monitoring.query import series, window
from apps.monitoring.query.errors import QueryError, UnknownTenantError
from apps.monitoring.query.summary import summary

WINDOWS = ("5m", "15m", "1h", "6h", "24h")
_SHOWN = 500


@staff_member_required
def dashboard(request: HttpRequest) -> HttpResponse:
    """The page itself; its numbers come from `data`."""
    tenants = Series.objects.exclude(tenant="").order_by("tenant").values_list("tenant", flat=True).distinct()[:_SHOWN]
    return render(
        request,
        "monitoring/dashboard.html",
        {
            "tenants": tenants,
            "tenant": request.GET.get("tenant", ""),
            "windows": WINDOWS,
            "window": request.GET.get("window", "15m"),
        },
    )


@staff_member_required
def data(request: HttpRequest) -> JsonResponse:
    """Everything that the page shows, of one tenant or of all together, over one window."""
    tenant = request.GET.get("tenant") or None
    now = timezone.now()
    try:
        start, end = window.parse(request.GET.get("window") or "15m", None, None, now)
        numbers = summary(tenant, start, end)
        points = series.per_minute(tenant, start, end)
    except UnknownTenantError as error:
        return JsonResponse({"error": str(error)}, status=404)
    except QueryError as error:
        return JsonResponse({"error": str(error)}, status=503)
    return JsonResponse(
        {"summary": numbers, "points": points, "firing": _firing(tenant), "history": _history(tenant), "now": now.isoformat()}
    )


def _firing(tenant: str | None) -> list[dict[str, Any]]:
    alerts = Alert.objects.filter(resolved_at=None, **({} if tenant is None else {"tenant": tenant}))
    return [
        {
            "rule": alert.rule_name,
            "tenant": alert.tenant or "all tenants",
            "severity": alert.severity,
            "since": alert.since.isoformat(),
            "value": alert.value,
            "threshold": alert.threshold,
        }
        for alert in alerts.order_by("-fired_at")[:50]
    ]


def _history(tenant: str | None) -> list[dict[str, Any]]:
    lines = AlertTransition.objects.filter(**({} if tenant is None else {"tenant": tenant}))
    return [
        {
            "minute": line.minute.isoformat(),
            "rule": line.rule_name,
            "tenant": line.tenant or "all tenants",
            "state": line.state,
            "notified": line.notified,
            "reason": line.reason,
        }
        for line in lines.order_by("-minute", "-id")[:15]
    ]
