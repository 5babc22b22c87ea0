"""What the page shows beside the numbers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.db.models import Case, When
from django.urls import reverse

from apps.monitoring.alerts.silences import in_force
from apps.monitoring.core.clock import minute_of
from apps.monitoring.core.rules import Severity, rank
from apps.monitoring.core.silences import hold
from apps.monitoring.models import Alert, AlertTransition, Series

_SHOWN: Final = ("interactions", "llm_calls")
_TENANTS: Final = 500
_FIRING: Final = 50
_LINES: Final = 15


def tenants() -> list[str]:
    """The tenants to choose from, by name: those with a rolled-up interaction or call to a language model."""
    named = Series.objects.filter(metric__in=_SHOWN).exclude(tenant="").order_by("tenant")
    return list(named.values_list("tenant", flat=True).distinct()[:_TENANTS])


def firing(tenant: str | None, now: datetime) -> list[dict[str, Any]]:
    """The alerts that fire now, the worst first, of these the newest. Figures are those of when it fired.

    ``held`` is what would hold back a notification now, a silence or a mute window; None when nothing does.
    """
    quiets = in_force(minute_of(now.timestamp()) - 1)
    worst = Case(*[When(severity=severity, then=-rank(severity)) for severity in Severity], default=1)
    alerts = Alert.objects.filter(resolved_at=None, **_of(tenant)).select_related("rule").order_by(worst, "-fired_at")
    return [
        {
            "rule": alert.rule_name,
            "tenant": alert.tenant or "all tenants",
            "severity": alert.severity,
            "since": alert.since.isoformat(),
            "seen": alert.seen,
            "limit": alert.limit,
            "acknowledged": alert.acknowledged_at is not None,
            "held": hold(quiets, alert.rule_name, alert.severity)(alert.tenant),
            "url": reverse("admin:monitoring_alert_change", args=[alert.pk]),
        }
        for alert in alerts[:_FIRING]
    ]


def history(tenant: str | None) -> list[dict[str, Any]]:
    """The last lines of the history, newest first, with why they told somebody or nobody."""
    lines = AlertTransition.objects.filter(**_of(tenant)).order_by("-minute", "-id")
    return [
        {
            "minute": line.minute.isoformat(),
            "rule": line.rule_name,
            "tenant": line.tenant or "all tenants",
            "state": line.state,
            "event": line.event,
            "notified": line.notified,
            "reason": line.reason,
        }
        for line in lines[:_LINES]
    ]


def _of(tenant: str | None) -> dict[str, str]:
    return {} if tenant is None else {"tenant": tenant}
