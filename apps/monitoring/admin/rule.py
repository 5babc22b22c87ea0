"""Rules: what the form shows is what runs."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest

from apps.monitoring.core.rules import Operator
from apps.monitoring.models import AlertRule


@admin.register(AlertRule)
class AlertRuleAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Thresholds and everything around them."""

    list_display = ("name", "condition", "severity", "enabled", "firing", "error")
    list_filter = ("enabled", "severity", "metric")
    list_editable = ("enabled",)
    search_fields = ("name", "description", "metric")
    readonly_fields = ("error", "error_since", "created_at", "updated_at")
    filter_horizontal = ("channels",)
    fieldsets = (
        (None, {"fields": ("name", "description", "enabled", "severity")}),
        ("Condition", {"fields": ("metric", "statistic", "operator", "threshold", "window_minutes", "min_samples")}),
        ("Whom it judges", {"fields": ("scope", "tenant", "label_filter")}),
        ("When it fires and ends", {"fields": ("for_minutes", "recovery_threshold", "keep_firing_for_minutes", "no_data")}),
        ("Whom it tells", {"fields": ("channels", "cooldown_minutes", "message_template", "runbook_url")}),
        ("Health", {"fields": ("error", "error_since", "created_at", "updated_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        """With the number of tenants it fires for."""
        firing = Count("states", filter=Q(states__status="firing"))
        rules: QuerySet[AlertRule] = super().get_queryset(request).annotate(firing_count=firing)
        return rules

    @admin.display(description="condition")
    def condition(self, rule: AlertRule) -> str:
        """In words."""
        what = rule.metric if rule.statistic == "ratio" else f"{rule.statistic} of {rule.metric}"
        symbol = Operator(rule.operator).symbol
        return f"{what} {symbol} {rule.threshold:g} {rule.definition().unit} over {rule.window_minutes} min"

    @admin.display(description="firing for")
    def firing(self, rule: AlertRule) -> int:
        """How many tenants."""
        count: int = rule.firing_count  # type: ignore[attr-defined]
        return count
