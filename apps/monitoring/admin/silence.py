"""Silences: made, ended early, and kept when they are over."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.views.decorators.http import require_POST

from apps.monitoring.admin.audit import AuditedAdmin
from apps.monitoring.admin.matchers import MatchersForm
from apps.monitoring.alerts.silences import expire, firing_under
from apps.monitoring.models import Alert, Silence
from apps.monitoring.models.silence import SilenceState


def address_for(alert: Alert) -> str:
    """The page that makes a silence, filled in for an alert."""
    asked = {"rules": alert.rule_name, **({"tenants": alert.tenant} if alert.tenant else {})}
    return f"{reverse('admin:monitoring_silence_add')}?{urlencode(asked)}"


class ByState(admin.SimpleListFilter):
    """In force, to come, or over."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        """Every state."""
        return [(one.value, one.value) for one in SilenceState]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Silence]) -> QuerySet[Silence]:  # noqa: ARG002 - Django's
        """As `Silence.state` has it."""
        now = timezone.now()
        over = Q(ends_at__lte=now) | Q(ends_at=F("starts_at"))
        match self.value():
            case SilenceState.EXPIRED:
                return queryset.filter(over)
            case SilenceState.PENDING:
                return queryset.exclude(over).filter(starts_at__gt=now)
            case SilenceState.ACTIVE:
                return queryset.exclude(over).filter(starts_at__lte=now)
        return queryset


@admin.register(Silence)
class SilenceAdmin(AuditedAdmin):
    """What is held back, since when, until when, by whom and why."""

    form = MatchersForm
    change_form_template = "admin/monitoring/silence/change_form.html"
    list_display = ("id", "holds_back", "state", "starts_at", "ends_at", "author", "comment")
    list_filter = (ByState,)
    search_fields = ("rules", "tenants", "author", "comment")
    fields = ("rules", "tenants", "severities", "starts_at", "ends_at", "comment", "author", "state")
    readonly_fields = ("author", "state")
    actions = ("expire_now",)

    @admin.display(description="holds back")
    def holds_back(self, silence: Silence) -> str:
        """In words."""
        return str(silence.matchers())

    @admin.display(description="state")
    def state(self, silence: Silence) -> str:
        """Now."""
        return silence.state(timezone.now()).value if silence.pk else "not made yet"

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """A silence explains why nobody was told; it ends, and stays."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Silence | None = None) -> bool:
        """What is over is not rewritten."""
        over = obj is not None and obj.state(timezone.now()) is SilenceState.EXPIRED
        return super().has_change_permission(request, obj) and not over

    def save_model(self, request: HttpRequest, obj: Silence, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """Who made it, and what it holds back that fires now."""
        if not change:
            obj.author = request.user.get_username()
        super().save_model(request, obj, form, change)
        firing = firing_under(obj)
        self.message_user(
            request, f"It means {firing} of the alerts that fire now." if firing else "Nothing it means fires now."
        )

    @admin.action(description="Expire: what still fires is told with the next minute", permissions=["change"])
    def expire_now(self, request: HttpRequest, chosen: QuerySet[Silence]) -> None:
        """Those that are not over."""
        self._expire(request, list(chosen))

    def get_urls(self) -> list[URLPattern]:
        """The silence's page has a button that ends it."""
        one = self.admin_site.admin_view(require_POST(self.expire_one))
        return [path("<int:pk>/expire/", one, name="monitoring_silence_expire"), *super().get_urls()]

    def expire_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The button."""
        if not super().has_change_permission(request):
            raise PermissionDenied
        self._expire(request, [get_object_or_404(Silence, pk=pk)])
        return redirect("admin:monitoring_silence_change", pk)

    def _expire(self, request: HttpRequest, silences: list[Silence]) -> None:
        now = timezone.now()
        done = [silence for silence in silences if expire(silence, now)]
        for silence in done:
            self.log_change(request, silence, "Expired.")
        skipped = f" {len(silences) - len(done)} had expired before." if len(done) < len(silences) else ""
        self.message_user(request, f"Expired: {len(done)}.{skipped}", messages.SUCCESS if done else messages.WARNING)
