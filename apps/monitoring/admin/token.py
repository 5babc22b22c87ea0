"""API tokens; the secret is shown once."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.cache import add_never_cache_headers

from apps.monitoring.models import ApiToken


@admin.register(ApiToken)
class ApiTokenAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Bound to one tenant, or to none."""

    list_display = ("name", "tenant_or_all", "can_write", "can_record", "created_at", "last_used_at")
    fields = ("name", "tenant", "can_write", "can_record")
    search_fields = ("name", "tenant", "can_write")

    @admin.display(description="tenant", ordering="tenant")
    def tenant_or_all(self, token: ApiToken) -> str:
        """Whose numbers it opens."""
        return token.tenant or "all tenants"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        """A token is made and deleted, not changed."""
        return False

    def save_model(self, request: HttpRequest, obj: ApiToken, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        """Make the secret."""
        made, secret = ApiToken.issue(obj.name, obj.tenant, can_write=obj.can_write, can_record=obj.can_record)
        obj.pk, obj.created_at = made.pk, made.created_at
        obj.secret = secret  # type: ignore[attr-defined]  # for the one page that shows it

    def response_add(self, request: HttpRequest, obj: ApiToken, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002
        """Show the secret in this answer alone: it is in no cookie, no session and no redirect."""
        context = {
            **self.admin_site.each_context(request),
            "title": "API token",
            "opts": self.opts,
            "token": obj,
            "secret": obj.secret,  # type: ignore[attr-defined]
        }
        answer = render(request, "admin/monitoring/apitoken/issued.html", context)
        add_never_cache_headers(answer)
        return answer
