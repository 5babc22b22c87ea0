"""What fires at this moment."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count

from apps.monitoring.models import AlertState


@dataclass(frozen=True, slots=True)
class Firing:
    """A rule that fires, for how many tenants; all together are one. ``tenant`` is None where that was not asked."""

    rule: str
    severity: str
    tenants: int
    tenant: str | None = None


def everywhere() -> list[Firing]:
    """The rules that fire for anybody."""
    states = AlertState.objects.filter(status="firing").order_by("rule__name")
    found = states.values_list("rule__name", "rule__severity").annotate(tenants=Count("id"))
    return [Firing(*one) for one in found]


def of(tenants: list[str]) -> list[Firing]:
    """The rules that fire for each of some tenants."""
    states = AlertState.objects.filter(status="firing", tenant__in=tenants).order_by("rule__name", "tenant")
    return [
        Firing(rule, severity, 1, tenant)
        for rule, severity, tenant in states.values_list("rule__name", "rule__severity", "tenant")
    ]
