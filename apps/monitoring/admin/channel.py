"""Channels; their secrets go in and never come out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from apps.monitoring.admin.audit import AuditedAdmin
from apps.monitoring.models import Channel, Notification
from apps.monitoring.models.encrypted import SecretUnreadableError
from apps.monitoring.notify import channels, edit, outbox

_DELIVERIES: Final = 20


def _examples(which: str, more: str) -> str:
    """What each kind wants, beside the field."""
    kinds = [(kind, getattr(channels.get(kind), f"example_{which}")) for kind in channels.KINDS]
    return format_html("{}{}", more, format_html_join("", "<br>{}: <code>{}</code>", kinds))


class WriteOnlyTextarea(forms.Textarea):
    """Shows nothing of what was typed, not even beside an error of another field."""

    def format_value(self, value: Any) -> str:  # noqa: ARG002 - the framework's signature
        """Nothing."""
        return ""


class ChannelForm(forms.ModelForm):  # type: ignore[type-arg]
    """Validates against the kind of channel."""

    kind = forms.ChoiceField(choices=[(kind, kind) for kind in channels.KINDS])
    new_secrets = forms.CharField(
        required=False,
        widget=WriteOnlyTextarea(attrs={"rows": 2, "autocomplete": "off", "spellcheck": "false"}),
        help_text=_examples("secrets", "Empty keeps what is stored, {} removes it."),
    )

    class Meta:
        model = Channel
        fields = ("name", "kind", "config", "enabled", "is_default", "fallback", "fallback_after_minutes")
        help_texts = {"config": _examples("config", "In JSON, by kind:")}

    def clean_config(self) -> dict[str, Any]:
        """An object; nothing is an empty one."""
        return _object(self.cleaned_data["config"])

    def clean_new_secrets(self) -> dict[str, Any] | None:
        """An object of texts; None keeps what is stored."""
        typed = self.cleaned_data["new_secrets"].strip()
        if not typed:
            return None
        try:
            secrets = _object(json.loads(typed))
        except json.JSONDecodeError:
            raise ValidationError("This is no JSON.") from None  # the parser would quote the secret
        if not all(isinstance(value, str) for value in secrets.values()):
            raise ValidationError("Each secret is a text.")
        return secrets

    def clean(self) -> dict[str, Any]:
        """The kind says what is wrong."""
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        stored = self.instance if self.instance.pk else None
        try:
            self.instance.secrets = edit.checked(stored, cleaned["kind"], cleaned["config"], cleaned["new_secrets"])
        except ValidationError as error:
            about_secrets = hasattr(error, "error_dict")
            self.add_error("new_secrets" if about_secrets else None, error.messages)
        return cleaned


@admin.register(Channel)
class ChannelAdmin(AuditedAdmin):
    """Where notifications go, and whether they arrive."""

    form = ChannelForm
    list_display = (
        "name", "kind", "enabled", "is_default", "waiting", "given_up", "last_success_at", "failing_since", "paused_until",
        "last_error",
    )  # fmt: skip
    list_filter = ("kind", "enabled")
    search_fields = ("name",)
    readonly_fields = (
        "secrets_stored", "last_success_at", "failing_since", "failures", "paused_until", "last_error", "deliveries",
    )  # fmt: skip
    actions = ("send_test", "send_given_up_again")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Channel]:
        """Without the secrets: one that cannot be read any more must not hide the page where it is mended."""
        counted = {
            name: Count("notifications", filter=Q(notifications__status=status))
            for name, status in (("_waiting", Notification.Status.PENDING), ("_given_up", Notification.Status.DEAD))
        }
        rows: QuerySet[Channel] = super().get_queryset(request).defer("secrets").annotate(**counted)
        return rows

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """The fallback is chosen by name, and nobody's secrets are read for that."""
        return super().formfield_for_foreignkey(db_field, request, queryset=Channel.without_secrets.all(), **options)

    def save_model(self, request: HttpRequest, obj: Channel, form: Any, change: bool) -> None:  # noqa: FBT001 - Django's
        """With what follows from an edit."""
        super().save_model(request, obj, form, change)
        edit.saved(obj, timezone.now())

    @admin.display(description="waiting", ordering="_waiting")
    def waiting(self, channel: Channel) -> int:
        """Notifications that are not there yet."""
        return int(getattr(channel, "_waiting", 0))

    @admin.display(description="given up", ordering="_given_up")
    def given_up(self, channel: Channel) -> int:
        """Notifications that can be sent again."""
        return int(getattr(channel, "_given_up", 0))

    @admin.display(description="latest notifications")
    def deliveries(self, channel: Channel) -> str:
        """What became of the last ones, newest first."""
        rows = Notification.objects.filter(channel=channel.pk).order_by("-created_at")[:_DELIVERIES]
        return render_to_string("admin/monitoring/channel/deliveries.html", {"rows": rows, "channel": channel.pk})

    @admin.display(description="secrets")
    def secrets_stored(self, channel: Channel) -> str:
        """Names only."""
        try:
            return ", ".join(f"{name} is set" for name in sorted(channel.secrets)) or "none"
        except SecretUnreadableError as error:
            return str(error)

    @admin.action(description="Send a test notification", permissions=["change"])
    def send_test(self, request: HttpRequest, chosen: QuerySet[Channel]) -> None:
        """Through the outbox, like any other."""
        for channel in chosen:
            self._test(request, channel)

    @admin.action(description="Send again what was given up", permissions=["change"])
    def send_given_up_again(self, request: HttpRequest, chosen: QuerySet[Channel]) -> None:
        """Everything that is dead, under its own ids."""
        pks = list(chosen.values_list("pk", flat=True))
        sent = outbox.resend(Notification.objects.filter(channel__in=pks, status=Notification.Status.DEAD))
        self.message_user(request, f"On their way again: {sent}.", messages.SUCCESS if sent else messages.WARNING)

    def response_change(self, request: HttpRequest, obj: Channel) -> HttpResponse:
        """The button of the channel's page saves and sends a test."""
        if "_test" not in request.POST:
            return super().response_change(request, obj)
        self._test(request, obj)
        return redirect(request.path)

    def _test(self, request: HttpRequest, channel: Channel) -> None:
        if channel.enabled:
            outbox.send_test(channel)
            self.message_user(request, f"A test is on its way to {channel}.", messages.SUCCESS)
        else:
            self.message_user(request, f"{channel} is not enabled, so nothing is sent to it.", messages.WARNING)

    def get_deleted_objects(
        self, objs: Sequence[Any] | QuerySet[Any], request: HttpRequest
    ) -> tuple[list[Any], dict[Any, Any], set[str], list[str]]:
        """What goes with the channels, counted: there may be thousands of notifications."""
        goes = {"channels": len(objs), "notifications": Notification.objects.filter(channel__in=objs).count()}
        missing = set() if self.has_delete_permission(request) else {"channel"}
        return [str(channel) for channel in objs], goes, missing, []


def _object(value: Any) -> dict[str, Any]:
    """A JSON object. Raises ValidationError."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValidationError('This is no JSON object, such as {"to": ["ops@example.com"]}.')
    return value
