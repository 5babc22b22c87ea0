"""The outbox."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.monitoring.admin.readonly import ReadOnlyAdmin
from apps.monitoring.models import Notification
from apps.monitoring.notify import outbox


@admin.register(Notification)
class NotificationAdmin(ReadOnlyAdmin):
    """What was to be sent, where it is, and why it is not there yet."""

    list_display = (
        "created_at",
        "kind",
        "rule",
        "channel",
        "status",
        "attempts",
        "next_attempt_at",
        "delivered_at",
        "last_error",
    )
    list_filter = ("status", "kind", "channel")
    date_hierarchy = "created_at"
    list_select_related = ("rule", "channel")
    actions = ("send_again",)

    @admin.action(description="Send again, under the same id", permissions=["operate"])
    def send_again(self, request: HttpRequest, chosen: QuerySet[Notification]) -> None:
        """For those that were given up, or wait for their next attempt."""
        rows = list(chosen.exclude(status=Notification.Status.DELIVERED))
        for row in rows:
            outbox.resend(row)
        self.message_user(request, f"{len(rows)} notifications are on their way again.", messages.SUCCESS)
