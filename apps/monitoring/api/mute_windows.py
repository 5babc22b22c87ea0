"""Mute windows: `/api/v1/mute-windows`."""

from __future__ import annotations

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from apps.monitoring.api.checked import Checked
from apps.monitoring.api.rows import EditedRows
from apps.monitoring.models import MuteWindow


class MuteWindowSerializer(Checked[MuteWindow]):
    """On which days, between which times of a clock on a wall. Days are 0, Monday, to 6."""

    in_force = serializers.SerializerMethodField(help_text="Now; null when its time zone exists no more.")

    class Meta:
        model = MuteWindow
        fields = (
            "id", "name", "enabled", "rules", "tenants", "severities", "weekdays", "starts", "ends", "time_zone", "comment",
            "in_force", "created_at",
        )  # fmt: skip

    def get_in_force(self, window: MuteWindow) -> bool | None:
        """Whether it holds anything back at this moment."""
        try:
            return window.holds(timezone.now())
        except LookupError:
            return None


@extend_schema_view(
    list=extend_schema(summary="Every mute window, by name"),
    retrieve=extend_schema(summary="One mute window"),
    create=extend_schema(summary="Make a mute window"),
    update=extend_schema(summary="Change a mute window; what has no default has to be given"),
    partial_update=extend_schema(summary="Change some of a mute window"),
    destroy=extend_schema(summary="Delete a mute window"),
)
@extend_schema(tags=["mute windows"])
class MuteWindowsView(EditedRows[MuteWindow]):
    """Closed to tokens that are bound to a tenant."""

    queryset = MuteWindow.objects.all()
    serializer_class = MuteWindowSerializer
    ordering = "name"
