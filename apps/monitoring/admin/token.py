"""API tokens; the secret is shown once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest

from apps.monitoring.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Bound to one tenant, or to none."""

    list_display = ("name", "tenant", "created_at", "last_used_at")
    fields = ("name", "tenant")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """A token is made and deleted, not changed."""
        return obj is None

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        """Make the secret, and show it once."""
        made, secret = ApiToken.issue(obj.name, obj.tenant)
        obj.pk = made.pk
        messages.warning(request, f"The token, shown only now: {secret}")
