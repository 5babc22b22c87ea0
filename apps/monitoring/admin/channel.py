"""Channels; their secrets go in and never come out."""

from __future__ import annotations

import json
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.monitoring.models import Channel
from apps.monitoring.notify import channels, outbox


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Validates against the kind of channel."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in channels.KINDS])
    new_secrets = forms.CharField(
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "autocomplete": "off"}),
        help_text='JSON such as {"secret": "whsec_…"} or {"dsn": "https://…"}; empty keeps what is stored, {} removes it.',
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "config", "enabled", "is_default")

    def clean(self) -> dict[str, Any]:
        """The kind says what is wrong."""
        cleaned = super().clean() or {}
        secrets = self.instance.secrets
        if cleaned.get("new_secrets"):
            try:
                secrets = json.loads(cleaned["new_secrets"])
            except json.JSONDecodeError:
                self.add_error("new_secrets", "This is no JSON.")
            else:
                if not isinstance(secrets, dict):
                    self.add_error("new_secrets", "This is no JSON object.")
        if not self.errors:
            for problem in channels.get(cleaned["kind"]).problems(cleaned.get("config") or {}, secrets):
                self.add_error(None, problem)
            self.instance.secrets = secrets
        return cleaned


@admin.register(Channel)
class ChannelAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Where notifications go, and whether they arrive."""

    form = ChannelForm
    list_display = ("name", "kind", "enabled", "is_default", "last_success_at", "failing_since", "last_error")
    readonly_fields = ("secrets_stored", "last_success_at", "failing_since", "last_error")
    actions = ("send_test",)

    @admin.display(description="secrets")
    def secrets_stored(self, channel: Channel) -> str:
        """Names only."""
        return ", ".join(f"{name} is set" for name in channel.secrets) or "none"

    @admin.action(description="Send a test notification")
    def send_test(self, request: HttpRequest, chosen: QuerySet[Channel]) -> None:
        """Through the outbox, like any other."""
        for channel in chosen:
            outbox.send_test(channel)
        self.message_user(request, f"{len(chosen)} test notifications are on their way.", messages.SUCCESS)
