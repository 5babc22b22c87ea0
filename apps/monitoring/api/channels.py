"""Channels: `/api/v1/channels`; their secrets go in and never come out."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q, QuerySet, TextField
from django.db.models.functions import Cast
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view, inline_serializer
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.monitoring.api import tenancy
from apps.monitoring.api.checked import Checked
from apps.monitoring.api.problem import ConflictError
from apps.monitoring.api.rows import EditedRows
from apps.monitoring.models import Channel, Notification
from apps.monitoring.models.encrypted import EncryptedJSONField, SecretUnreadableError
from apps.monitoring.notify import channels, edit, outbox

_SECRETS = "Texts by name, and never shown again. Left out: what is stored stays; {}: it is removed."


class ChannelSerializer(Checked[Channel]):
    """A channel. Which `config` and `secrets` each kind takes is said in docs/notifications.md."""

    kind = serializers.ChoiceField(channels.KINDS)
    config = serializers.DictField(required=False, help_text="By kind. Shown to whoever may change channels.")
    secrets = serializers.DictField(
        child=serializers.CharField(trim_whitespace=False), write_only=True, required=False, help_text=_SECRETS
    )
    secrets_set = serializers.SerializerMethodField(help_text="Their names; null when they cannot be decrypted any more.")
    fallback = serializers.SlugRelatedField(
        slug_field="name", queryset=Channel.without_secrets.all(), required=False, allow_null=True
    )
    waiting = serializers.SerializerMethodField(help_text="Notifications that are not there yet.")
    given_up = serializers.SerializerMethodField(help_text="Notifications that can be sent again in the admin.")

    class Meta:
        model = Channel
        fields = (
            "id", "name", "kind", "config", "secrets", "secrets_set", "enabled", "is_default", "fallback",
            "fallback_after_minutes", "waiting", "given_up", "last_success_at", "failing_since", "failures", "paused_until",
            "last_error", "created_at",
        )  # fmt: skip
        read_only_fields = ("last_success_at", "failing_since", "failures", "paused_until", "last_error")

    def get_secrets_set(self, channel: Channel) -> list[str] | None:
        """As they are stored now."""
        stored = getattr(channel, "stored_secrets", None)
        try:
            return sorted(channel.secrets if stored is None else EncryptedJSONField().from_db_value(stored))
        except SecretUnreadableError:
            return None

    def get_waiting(self, channel: Channel) -> int:
        """None of one that was just made."""
        return int(getattr(channel, "waiting", 0))

    def get_given_up(self, channel: Channel) -> int:
        """The same."""
        return int(getattr(channel, "given_up", 0))

    def check_whole(self, candidate: Channel, attrs: dict[str, Any]) -> None:
        """The model, and then the kind."""
        candidate.full_clean(exclude={"secrets"})
        attrs["secrets"] = edit.checked(self.instance, candidate.kind, candidate.config, attrs.get("secrets"))

    def to_representation(self, instance: Channel) -> dict[str, Any]:
        """An address is often a key: who only reads sees how channels do, not where they lead."""
        shown = super().to_representation(instance)
        if not tenancy.may_change(self.context["request"], Channel):
            del shown["config"]
        return shown


@extend_schema_view(
    list=extend_schema(summary="Every channel, by name"),
    retrieve=extend_schema(summary="One channel, and whether it works"),
    create=extend_schema(summary="Make a channel"),
    update=extend_schema(summary="Change a channel; secrets that are left out stay"),
    partial_update=extend_schema(summary="Change some of a channel; secrets that are left out stay"),
    destroy=extend_schema(summary="Delete a channel, with what was sent to it"),
)
@extend_schema(tags=["channels"])
class ChannelsView(EditedRows[Channel]):
    """Closed to tokens that are bound to a tenant."""

    queryset = Channel.without_secrets.select_related("fallback")
    serializer_class = ChannelSerializer
    ordering = "name"
    needed = {"test": tenancy.CHANGE}

    def get_queryset(self) -> QuerySet[Channel]:
        """With what the answer shows: no secret is read one by one, and one that cannot be read hides no other."""
        counted = {
            name: Count("notifications", filter=Q(notifications__status=status))
            for name, status in (("waiting", Notification.Status.PENDING), ("given_up", Notification.Status.DEAD))
        }
        rows = super().get_queryset()
        if rows.query.select_for_update:  # which Postgres does not do while it counts
            return rows
        return rows.annotate(stored_secrets=Cast("secrets", TextField()), **counted)

    def perform_create(self, serializer: Any) -> None:
        """With what follows."""
        edit.saved(serializer.save(), timezone.now())

    def perform_update(self, serializer: Any) -> None:
        """The same."""
        edit.saved(serializer.save(), timezone.now())

    @extend_schema(
        operation_id="channels_test",
        summary="Send a test notification",
        request=None,
        responses={202: inline_serializer("ChannelTest", {"notification": serializers.UUIDField()})},
    )
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Through the outbox, like any other: `last_success_at` or `last_error` of the channel says how it went."""
        channel = self.get_object()
        if not channel.enabled:
            raise ConflictError(f"{channel} is not enabled, so nothing is sent to it.")
        return Response({"notification": outbox.send_test(channel).pk}, 202)
