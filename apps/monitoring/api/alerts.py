"""Alerts: `/api/v1/alerts`, with their history, and the hand that is put up for one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib.auth.models import User
from django.db.models import Prefetch, QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.api import tenancy
from apps.monitoring.api.checked import Moment
from apps.monitoring.api.problem import ConflictError
from apps.monitoring.api.rows import Rows
from apps.monitoring.api.serializers import SEVERITIES
from apps.monitoring.audit import actor
from apps.monitoring.core.mute import nameless
from apps.monitoring.models import Alert, AlertTransition

_NOTE: Final = 500
_STATES: Final = ("firing", "resolved")


class TransitionSerializer(serializers.ModelSerializer[AlertTransition]):
    """A line of the history, with the fields of a backtest's."""

    class Meta:
        model = AlertTransition
        fields = ("minute", "event", "state", "value", "samples", "notified", "reason")

    def to_representation(self, instance: AlertTransition) -> dict[str, Any]:
        """A mute window is for everybody, and its name is not for a tenant."""
        shown = super().to_representation(instance)
        if tenancy.bound(self.context["request"]):
            shown["reason"] = nameless(shown["reason"])
        return shown


class AlertSerializer(serializers.ModelSerializer[Alert]):
    """One episode: from firing to resolved. Who acknowledged it, and their note, are not shown to a token bound to a tenant."""

    tenant = serializers.SerializerMethodField(help_text="null: all tenants together.")
    state = serializers.SerializerMethodField()
    acknowledged_by: serializers.SlugRelatedField[User] = serializers.SlugRelatedField(
        slug_field="username", read_only=True, allow_null=True, help_text="null also when it was no user; the note says who."
    )

    class Meta:
        model = Alert
        fields: tuple[str, ...] = (
            "id", "rule", "rule_name", "tenant", "severity", "state", "since", "fired_at", "resolved_at", "value",
            "threshold", "samples", "acknowledged_at", "acknowledged_by", "acknowledgement_note",
        )  # fmt: skip
        read_only_fields = fields

    def get_tenant(self, alert: Alert) -> str | None:
        """As in the summary."""
        return alert.tenant or None

    def get_state(self, alert: Alert) -> str:
        """Firing until it has resolved, acknowledged or not."""
        return _STATES[alert.resolved_at is not None]

    def to_representation(self, instance: Alert) -> dict[str, Any]:
        """A note is written for colleagues, and often about several tenants."""
        shown = super().to_representation(instance)
        if tenancy.bound(self.context["request"]):
            shown.update(acknowledged_by=None, acknowledgement_note="")
        return shown


class AlertWithHistorySerializer(AlertSerializer):
    """The same, with every line, oldest first."""

    transitions = TransitionSerializer(many=True, read_only=True)

    class Meta(AlertSerializer.Meta):
        fields = (*AlertSerializer.Meta.fields, "transitions")
        read_only_fields = fields


class AskedSerializer(serializers.Serializer[Any]):
    """Which alerts."""

    state = serializers.ChoiceField(_STATES, required=False)
    acknowledged = serializers.BooleanField(required=False, allow_null=True, default=None)
    rule = serializers.CharField(required=False, help_text="The name of a rule.")
    tenant = serializers.CharField(required=False, allow_blank=True, help_text="Empty: all tenants together.")
    severity = serializers.ChoiceField(SEVERITIES, required=False)
    since = Moment(required=False, help_text="Fired at this time or later.")


class NoteSerializer(serializers.Serializer[Any]):
    """What the next one on duty should know."""

    note = serializers.CharField(max_length=_NOTE, required=False, allow_blank=True, default="")


@extend_schema_view(
    list=extend_schema(summary="Alerts, the latest first", parameters=[AskedSerializer]),
    retrieve=extend_schema(summary="One alert, with its history", responses=AlertWithHistorySerializer),
)
@extend_schema(tags=["alerts"])
class AlertsView(mixins.ListModelMixin, mixins.RetrieveModelMixin, Rows[Alert]):
    """A token bound to a tenant sees the alerts of this tenant."""

    queryset = Alert.objects.select_related("acknowledged_by")
    needed = {"acknowledge": tenancy.CHANGE}
    asked = tuple(AskedSerializer().fields)

    def get_serializer_class(self) -> type[AlertSerializer]:
        """The list without histories."""
        return AlertSerializer if self.action == "list" else AlertWithHistorySerializer

    def get_queryset(self) -> QuerySet[Alert]:
        """With the history where it is shown."""
        rows = super().get_queryset()
        lines = Prefetch("transitions", AlertTransition.objects.order_by("minute", "id"))
        return rows if self.action == "list" else rows.prefetch_related(lines)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """As asked."""
        if self.action != "list":
            return queryset
        tenant = self.request.query_params.get("tenant")
        tenancy.visible(self.request, tenant)  # before any other complaint
        given = AskedSerializer(data=self.request.query_params)
        given.is_valid(raise_exception=True)
        return _chosen(queryset, given.validated_data, everyone=tenant is None or bool(tenancy.bound(self.request)))

    @extend_schema(
        operation_id="alerts_acknowledge",
        summary="Look after an alert: no more reminders until it resolves",
        request=NoteSerializer,
        responses=AlertWithHistorySerializer,
    )
    @action(detail=True, methods=["post"])
    def acknowledge(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Who, when, with a note. 409 when it has resolved or somebody was quicker."""
        alert = self.get_object()
        given = NoteSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        note = given.validated_data["note"].strip()
        if request.user.is_authenticated:
            done = acknowledge([alert.pk], request.user, timezone.now(), note)
        else:
            who = actor.current()
            done = acknowledge([alert.pk], None, timezone.now(), f"By {who}. {note}".strip(), who)
        after = self.get_object()
        if not done:
            raise ConflictError("It has resolved." if after.resolved_at else "Somebody looks after it already.")
        return Response(self.get_serializer(after).data)


def _chosen(alerts: QuerySet[Alert], asked: dict[str, Any], *, everyone: bool) -> QuerySet[Alert]:
    if "state" in asked:
        alerts = alerts.filter(resolved_at__isnull=asked["state"] == "firing")
    if asked["acknowledged"] is not None:
        alerts = alerts.filter(acknowledged_at__isnull=not asked["acknowledged"])
    if "rule" in asked:
        alerts = alerts.filter(rule_name=asked["rule"])
    if not everyone:
        alerts = alerts.filter(tenant=asked.get("tenant", ""))
    if "severity" in asked:
        alerts = alerts.filter(severity=asked["severity"])
    if "since" in asked:
        alerts = alerts.filter(fired_at__gte=asked["since"])
    return alerts
