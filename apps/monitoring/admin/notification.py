"""The outbox."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.filters import RelatedFieldListFilter
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html

from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox


class ByChannel(RelatedFieldListFilter):
    """The names alone: the framework's own filter would read and decrypt every channel."""

    def field_choices(self, field: Any, request: Any, model_admin: Any) -> list[Any]:  # noqa: ARG002 - Django's signature
        """Id and name of each channel."""
        return [(str(pk), name) for pk, name in Channel.objects.order_by("name").values_list("pk", "name")]


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """What was to be sent, where it is, and why it is not there yet."""

    list_display = (
        "created_at", "kind", "rule", "channel", "status", "attempts", "next_attempt_at", "delivered_at", "last_error",
    )  # fmt: skip
    list_filter = ("status", "kind", ("channel", ByChannel))
    date_hierarchy = "created_at"
    actions = ("send_again",)
    exclude = ("payload",)
    readonly_fields = ("said",)

    @admin.display(description="payload")
    def said(self, row: Notification) -> str:
        """Without the link that acknowledges: it is for those who were told, and a look at this page needs less."""
        links = row.payload.get("links", {})
        shown = {**row.payload, "links": {name: url for name, url in links.items() if name != "acknowledge"}}
        return format_html("<pre>{}</pre>", json.dumps(shown, indent=2, ensure_ascii=False))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Notification]:
        """With what a line shows, and without any secret."""
        rows: QuerySet[Notification] = super().get_queryset(request)
        return rows.select_related("rule", "channel").defer("channel__secrets")

    @admin.action(description="Send again, under the same id", permissions=["operate"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[Notification]) -> None:
        """For those that were given up, or wait for their next attempt."""
        sent = outbox.resend(chosen)
        self.message_user(request, f"On their way again: {sent}.", messages.SUCCESS if sent else messages.WARNING)
