"""Alerts and their history."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.models import Alert, AlertState, AlertTransition


class TransitionInline(admin.TabularInline):  # type: ignore[type-arg]
    """The lines of one alert."""

    model = AlertTransition
    fields = ("minute", "event", "state", "value", "samples", "notified", "reason")
    readonly_fields = fields
    ordering = ("minute", "id")
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """History is written by the evaluation."""
        return False


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Episodes: from firing to resolved."""

    list_display = (
        "rule_name",
        "tenant",
        "severity",
        "fired_at",
        "resolved_at",
        "value",
        "threshold",
        "samples",
        "acknowledged_by",
    )
    list_filter = ("severity", ("resolved_at", admin.EmptyFieldListFilter), "rule_name")
    search_fields = ("rule_name", "tenant")
    date_hierarchy = "fired_at"
    inlines = (TransitionInline,)
    actions = ("acknowledge",)

    @admin.action(description="Acknowledge: no more reminders until it resolves", permissions=["operate"])
    def acknowledge(self, request: HttpRequest, chosen: QuerySet[Alert]) -> None:
        """Who, when; it ends with the alert."""
        with transaction.atomic():
            open_alerts = chosen.filter(resolved_at=None, acknowledged_at=None)
            ids = list(open_alerts.values_list("pk", flat=True))
            open_alerts.update(acknowledged_at=timezone.now(), acknowledged_by=request.user)
            AlertState.objects.filter(alert_id__in=ids).update(acknowledged=True)
        self.message_user(request, f"{len(ids)} alerts acknowledged.", messages.SUCCESS)


@admin.register(AlertTransition)
class AlertTransitionAdmin(ReadOnlyAdmin):
    """Every line of the history, those included that told nobody, with the reason."""

    list_display = ("minute", "rule_name", "tenant", "event", "state", "value", "samples", "notified", "reason")
    list_filter = ("state", "notified", "rule_name")
    search_fields = ("rule_name", "tenant")
    date_hierarchy = "minute"
