"""Alerts and their history."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.monitoring.admin import explain
from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.admin.silence import address_for
from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.models import Alert, AlertTransition


class TransitionInline(admin.TabularInline):  # type: ignore[type-arg]
    """The lines of one alert."""

    model = AlertTransition
    verbose_name_plural = "history"
    fields = ("minute", "event", "state", "seen", "samples", "notified", "reason", "why")
    readonly_fields = ("seen", "why")
    ordering = ("minute", "id")
    extra = 0
    can_delete = False

    @admin.display(description="value")
    def seen(self, line: AlertTransition) -> str | None:
        """As the reason has it."""
        return _rounded(line.value)

    @admin.display(description="")
    def why(self, line: AlertTransition) -> str:
        """A link to the explanation."""
        return explain.link(line)

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """History is written by the evaluation."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """History is not rewritten."""
        return False

    def has_view_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - Django's signature
        """Whoever sees the alert sees why."""
        return True


@admin.register(Alert)
class AlertAdmin(ReadOnlyAdmin):
    """Episodes: from firing to resolved."""

    list_display = (
        "rule_name", "tenant", "severity", "fired_at", "resolved_at", "seen", "limit", "samples", "acknowledged_by",
    )  # fmt: skip
    list_filter = ("severity", ("resolved_at", admin.EmptyFieldListFilter), "rule_name")
    list_select_related = ("acknowledged_by", "rule")
    search_fields = ("rule_name", "tenant")
    date_hierarchy = "fired_at"
    inlines = (TransitionInline,)
    actions = ("acknowledge",)

    @admin.display(description="value", ordering="value")
    def seen(self, alert: Alert) -> str | None:
        """As on the dashboard."""
        return alert.seen

    @admin.display(description="limit", ordering="threshold")
    def limit(self, alert: Alert) -> str:
        """As on the dashboard."""
        return alert.limit

    @admin.action(description="Acknowledge: no more reminders until it resolves", permissions=["operate"])
    def acknowledge(self, request: HttpRequest, chosen: QuerySet[Alert]) -> None:
        """Who, when; it ends with the alert."""
        self._acknowledge(request, list(chosen.values_list("pk", flat=True)))

    def get_urls(self) -> list[URLPattern]:
        """Notifications link to the alert's page, so it can be acknowledged there too."""
        one = self.admin_site.admin_view(require_POST(self.acknowledge_one))
        return [path("<int:pk>/acknowledge/", one, name="monitoring_alert_acknowledge"), *super().get_urls()]

    def acknowledge_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The button of the alert's page."""
        if not self.has_operate_permission(request):
            raise PermissionDenied
        self._acknowledge(request, [pk])
        return redirect("admin:monitoring_alert_change", pk)

    def _acknowledge(self, request: HttpRequest, alerts: list[int]) -> None:
        done = acknowledge(alerts, request.user, timezone.now())  # type: ignore[arg-type]  # the admin lets nobody else in
        for alert in Alert.objects.filter(pk__in=done):
            self.log_change(request, alert, "Acknowledged.")
        skipped = f" {len(alerts) - len(done)} had ended or were acknowledged before." if len(done) < len(alerts) else ""
        self.message_user(request, f"Acknowledged: {len(done)}.{skipped}", messages.SUCCESS if done else messages.WARNING)

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:  # type: ignore[override]
        """With the button, while there is something to acknowledge; with a link to a silence, while it fires."""
        alert: Alert | None = options.get("obj")
        waits = alert is not None and alert.resolved_at is None and alert.acknowledged_at is None
        context["may_acknowledge"] = waits and self.has_operate_permission(request)
        if alert is not None and alert.rule_id is not None and request.user.has_perm("monitoring.view_alertrule"):
            context["explain_address"] = explain.address(alert.rule_id, alert.tenant, alert.fired_at)
        if alert is not None and alert.resolved_at is None and request.user.has_perm("monitoring.add_silence"):
            context["silence_address"] = address_for(alert)
        return super().render_change_form(request, context, **options)


@admin.register(AlertTransition)
class AlertTransitionAdmin(ReadOnlyAdmin):
    """Every line of the history, those included that told nobody, with the reason."""

    list_display = ("minute", "rule_name", "tenant", "event", "state", "seen", "samples", "notified", "reason", "why")
    list_filter = ("state", "notified", "rule_name")
    search_fields = ("rule_name", "tenant")
    date_hierarchy = "minute"
    ordering = ("-minute", "-id")

    @admin.display(description="value", ordering="value")
    def seen(self, line: AlertTransition) -> str | None:
        """As the reason has it."""
        return _rounded(line.value)

    @admin.display(description="")
    def why(self, line: AlertTransition) -> str:
        """A link to the explanation."""
        return explain.link(line)


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"
