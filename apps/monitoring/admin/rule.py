"""Rules: what the form shows is what runs."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Count, Field, ManyToManyField, Q, QuerySet
from django.db.models.fields import BLANK_CHOICE_DASH
from django.forms import ModelMultipleChoiceField, TypedChoiceField
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.views.decorators.http import require_POST

from apps.monitoring.admin import explain, prefill, tryout
from apps.monitoring.admin.audit import AuditedAdmin
from apps.monitoring.admin.metric import MetricInput
from apps.monitoring.core import rules
from apps.monitoring.models import AlertRule, Channel


class AlertRuleForm(forms.ModelForm):  # type: ignore[type-arg]
    """The model says what is wrong; here is only what a form makes of an empty field, or of an address without a scheme."""

    runbook_url = forms.URLField(required=False, assume_scheme="https")

    class Meta:
        # The admin shows help as markup.
        help_texts = {"metric": "Choose one, or type user.NAME for one of your own."}
        widgets = {"metric": MetricInput}

    def clean_label_filter(self) -> Any:
        """Nothing is no filter."""
        value = self.cleaned_data["label_filter"]
        return {} if value is None else value


@admin.register(AlertRule)
class AlertRuleAdmin(AuditedAdmin):
    """Thresholds and everything around them."""

    form = AlertRuleForm
    add_form_template = change_form_template = "admin/monitoring/alertrule/change_form.html"
    list_display = ("name", "condition", "severity", "enabled", "firing", "error")
    list_filter = ("enabled", "severity", "metric")
    search_fields = ("name", "description", "metric")
    readonly_fields = ("error", "error_since", "created_at", "updated_at")
    filter_horizontal = ("channels",)
    actions = ("enable", "disable")
    save_as = True
    fieldsets = (
        (None, {"fields": ("name", "description", "enabled", "severity")}),
        ("Condition", {"fields": ("metric", "statistic", "operator", "threshold", "window_minutes", "min_samples")}),
        ("Against what", {"fields": ("change_against", "budget")}),
        ("Whom it judges", {"fields": ("scope", "tenant", "label_filter")}),
        ("When it fires and ends", {"fields": ("for_minutes", "recovery_threshold", "keep_firing_for_minutes", "no_data")}),
        ("Whom it tells", {"fields": ("channels", "cooldown_minutes", "message_template", "runbook_url")}),
        ("Health", {"fields": ("error", "error_since", "created_at", "updated_at")}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertRule]:
        """With the number of tenants it fires for."""
        firing = Count("states", filter=Q(states__status="firing"))
        found: QuerySet[AlertRule] = super().get_queryset(request).annotate(firing_count=firing)
        return found

    def get_urls(self) -> list[URLPattern]:
        """Why it notified is a page of its own, and what it would do an answer to the form."""
        why, attempt = self.admin_site.admin_view(self.explain), self.admin_site.admin_view(require_POST(self.attempt))
        return [
            path("<int:pk>/explain/", why, name="monitoring_alertrule_explain"),
            path("try/", attempt, name="monitoring_alertrule_try_new"),
            path("<int:pk>/try/", attempt, name="monitoring_alertrule_try"),
            *super().get_urls(),
        ]

    def attempt(self, request: HttpRequest, pk: int | None = None) -> HttpResponseBase:
        """What the rule in the form would have done; nothing is saved."""
        rule = None if pk is None else get_object_or_404(AlertRule, pk=pk)
        if not (self.has_add_permission(request) if rule is None else self.has_change_permission(request, rule)):
            raise PermissionDenied
        return tryout.answer(request, self.get_form(request, rule)(request.POST, instance=rule))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """From the dashboard: of what somebody looked at there."""
        given, wrong = prefill.initial(request.GET.dict())
        for text in wrong:
            self.message_user(request, f"Not taken over: {text}.", messages.WARNING)
        return given

    def render_change_form(self, request: HttpRequest, context: dict[str, Any], **options: Any) -> HttpResponse:  # type: ignore[override]
        """With the panel in which it is tried, for those who may save it."""
        rule: AlertRule | None = options.get("obj")
        may = self.has_add_permission(request) if rule is None else self.has_change_permission(request, rule)
        if may:
            new = reverse("admin:monitoring_alertrule_try_new")
            context["try_address"] = new if rule is None else reverse("admin:monitoring_alertrule_try", args=[rule.pk])
            context["try_ranges"] = tryout.RANGES
        return super().render_change_form(request, context, **options)

    def explain(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What it saw in a minute, and why it did or did not notify."""
        rule = get_object_or_404(AlertRule, pk=pk)
        if not self.has_view_permission(request, rule):
            raise PermissionDenied
        return explain.page(request, self.admin_site, rule)

    def formfield_for_choice_field(
        self,
        db_field: Field[Any, Any],
        request: HttpRequest,
        **options: Any,
    ) -> TypedChoiceField | None:
        """An operator is shown as people write it, and stored by its name."""
        if db_field.name == "operator":
            options["choices"] = [*BLANK_CHOICE_DASH, *((one.value, f"{one.symbol} ({one})") for one in rules.Operator)]
        return super().formfield_for_choice_field(db_field, request, **options)

    def formfield_for_manytomany(
        self,
        db_field: ManyToManyField,  # type: ignore[type-arg]
        request: HttpRequest,
        **options: Any,
    ) -> ModelMultipleChoiceField | None:  # type: ignore[type-arg]
        """A channel whose secret cannot be read is a choice like any other."""
        return super().formfield_for_manytomany(db_field, request, queryset=Channel.objects.defer("secrets"), **options)

    @admin.display(description="condition")
    def condition(self, rule: AlertRule) -> str:
        """In words."""
        lasting = f", for {rule.for_minutes} min" if rule.for_minutes else ""
        whom = f", {rule.tenant}" if rule.tenant else ""
        return f"{rules.condition(rule.definition())}{lasting}{whom}"

    @admin.display(description="firing for", ordering="firing_count")
    def firing(self, rule: AlertRule) -> str:
        """How many tenants."""
        count: int = rule.firing_count  # type: ignore[attr-defined]
        return str(count or "nobody")

    @admin.action(description="Enable", permissions=["change"])
    def enable(self, request: HttpRequest, chosen: QuerySet[AlertRule]) -> None:
        """Those that can work; the others say why not."""
        for rule in chosen:
            try:
                rule.clean()
            except ValidationError as error:
                self.message_user(request, f"{rule} stays as it is: {'; '.join(error.messages)}", messages.ERROR)
            else:
                self._switch(request, rule, on=True)

    @admin.action(description="Disable", permissions=["change"])
    def disable(self, request: HttpRequest, chosen: QuerySet[AlertRule]) -> None:
        """Whatever is wrong with them."""
        for rule in chosen:
            self._switch(request, rule, on=False)

    def _switch(self, request: HttpRequest, rule: AlertRule, *, on: bool) -> None:
        if rule.enabled == on:
            return
        rule.enabled = on
        rule.save(update_fields=["enabled", "updated_at"])
        self.log_change(request, rule, "Enabled." if on else "Disabled.")
        self.message_user(request, f"{rule} is {'enabled' if on else 'disabled'}.", messages.SUCCESS)
