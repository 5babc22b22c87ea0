"""Silences: `/api/v1/silences`. They are made, changed while they last, and ended; none disappears."""

from __future__ import annotations

from typing import Any, Final

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import serializers

from apps.monitoring.alerts.silences import expire
from apps.monitoring.api import tenancy
from apps.monitoring.api.checked import Checked
from apps.monitoring.api.problem import ConflictError
from apps.monitoring.api.rows import EditedRows
from apps.monitoring.audit import actor
from apps.monitoring.models import Silence
from apps.monitoring.models.silence import SilenceState

_MOST_OF_A_TENANT: Final = 100
"""Silences that are not over, where a token bound to the tenant makes one more."""


class SilenceSerializer(Checked[Silence]):
    """What is held back; a list that is empty matches everything, `name*` whatever begins with name.

    Of silences that it did not make a token bound to a tenant sees neither author nor comment.
    """

    state = serializers.SerializerMethodField()

    class Meta:
        model = Silence
        fields = ("id", "rules", "tenants", "severities", "starts_at", "ends_at", "comment", "author", "state", "created_at")
        read_only_fields = ("author",)

    def get_state(self, silence: Silence) -> SilenceState:
        """Now."""
        return silence.state(timezone.now())

    def to_representation(self, instance: Silence) -> dict[str, Any]:
        """What a colleague wrote is for colleagues, and often about several tenants."""
        shown = super().to_representation(instance)
        if tenancy.bound(self.context["request"]) and instance.author != actor.current():
            shown.update(author="", comment="")
        return shown

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Who is bound to a tenant names it and nobody else."""
        tenants = tenancy.silencing_own(self.context["request"], attrs.get("tenants"))
        return super().validate(attrs if tenants is None else {**attrs, "tenants": tenants})

    def check_whole(self, candidate: Silence, attrs: dict[str, Any]) -> None:
        """Whole minutes, as the model makes them."""
        if self.instance is None:
            candidate.author = attrs["author"] = actor.current() or "somebody"
            self._check_room()
        super().check_whole(candidate, attrs)

    def _check_room(self) -> None:
        """Every minute looks at every silence, so that one tenant with many would hold everybody up."""
        tenant = tenancy.bound(self.context["request"])
        lasting = Silence.objects.filter(tenants=[tenant], ends_at__gt=timezone.now()).count() if tenant else 0
        if lasting >= _MOST_OF_A_TENANT:
            raise ConflictError(f"There are {lasting} silences that are not over: end some of them first.")


@extend_schema_view(
    list=extend_schema(summary="Every silence, the newest first; those that are over as well"),
    retrieve=extend_schema(summary="One silence"),
    create=extend_schema(summary="Make a silence"),
    update=extend_schema(summary="Change a silence that is not over; what has no default has to be given"),
    partial_update=extend_schema(summary="Change a silence that is not over"),
    destroy=extend_schema(summary="End a silence now; it stays, to say why nobody was told"),
)
@extend_schema(tags=["silences"])
class SilencesView(EditedRows[Silence]):
    """A token bound to a tenant sees and makes those that name this tenant and nobody else."""

    queryset = Silence.objects.all()
    serializer_class = SilenceSerializer
    needed = {"destroy": tenancy.CHANGE}

    def perform_update(self, serializer: Any) -> None:
        """What is over is not rewritten."""
        if serializer.instance.state(timezone.now()) is SilenceState.EXPIRED:
            raise ConflictError("The silence is over: make a new one.")
        serializer.save()

    def perform_destroy(self, instance: Silence) -> None:
        """What still fires is told with the next minute. One that is over is over."""
        expire(instance, timezone.now())
