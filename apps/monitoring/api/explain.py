"""Why a rule did or did not notify."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final, TypeVar

from django.http import Http404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.fields import Field
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.monitoring.alerts.explain import explain
from apps.monitoring.alerts.explanation import Explanation, as_json
from apps.monitoring.api import parameters, problem
from apps.monitoring.api.serializers import ProblemSerializer
from apps.monitoring.api.tenancy import MayUse, bound, visible
from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.course import Past
from apps.monitoring.core.lifecycle import Event, Notice, Status
from apps.monitoring.core.mute import nameless
from apps.monitoring.core.rules import Scope
from apps.monitoring.models import AlertRule, Notification
from apps.monitoring.query import window
from apps.monitoring.query.errors import RangeError


def _text() -> Field:  # type: ignore[type-arg]
    return serializers.CharField()


def _texts() -> Field:  # type: ignore[type-arg]
    return serializers.ListField(child=serializers.CharField())


def _moment() -> Field:  # type: ignore[type-arg]
    return serializers.DateTimeField(allow_null=True)


def _value(of: str = "null: there is no value.") -> Field:  # type: ignore[type-arg]
    return serializers.FloatField(allow_null=True, help_text=of)


def _state(name: str) -> Field:  # type: ignore[type-arg]
    return inline_serializer(
        name,
        {
            "status": serializers.CharField(help_text="inactive, pending or firing."),
            **{part: _moment() for part in ("since", "recovering_since", "notified_at")},
            **{part: serializers.BooleanField() for part in ("announced", "acknowledged")},
        },
    )


Line = TypeVar("Line", Event, Past)
_SOME_CHANNEL: Final = "a channel"
_STATES: Final = ", ".join(Status)
EXPLANATION: Final = inline_serializer(
    "Explanation",
    {
        "rule": _text(),
        "tenant": serializers.CharField(allow_null=True, help_text="null: all tenants together."),
        "minute": serializers.DateTimeField(help_text="By its start."),
        "conclusion": serializers.CharField(help_text="Why it did or did not notify, in a sentence."),
        "condition": serializers.CharField(help_text="The rule as it was at that minute, in words."),
        "enabled": serializers.BooleanField(),
        "judged_at": serializers.DateTimeField(
            allow_null=True, help_text="By the rule as it was then. null: not known, then as it was when the minute was due."
        ),
        "windows": inline_serializer(
            "ExplainedWindow", {"from": serializers.DateTimeField(), "to": serializers.DateTimeField()}, many=True
        ),
        "value": _value(),
        "unit": serializers.CharField(allow_blank=True),
        "samples": serializers.IntegerField(),
        "min_samples": serializers.IntegerField(),
        "threshold": serializers.FloatField(),
        "recovery_threshold": _value("null: the threshold."),
        "breach": serializers.BooleanField(),
        "recovered": serializers.BooleanField(),
        "before": _state("StateBefore"),
        "after": _state("StateAfter"),
        "held_back": serializers.CharField(allow_null=True, help_text="What held notifications back, beside the cooldown."),
        "events": inline_serializer(
            "ExplainedEvent",
            {
                "state": serializers.CharField(help_text=_STATES),
                "changed": serializers.BooleanField(help_text="false: only a notification was decided."),
                "notice": serializers.CharField(allow_null=True, help_text=", ".join(Notice)),
                "reason": _text(),
            },
            many=True,
        ),
        "notifications": inline_serializer(
            "ExplainedNotification",
            {
                "channel": serializers.CharField(allow_blank=True, help_text="Empty for a token that is bound to a tenant."),
                "kind": _text(),
                "status": serializers.CharField(help_text=", ".join(Notification.Status.values)),
                "attempts": serializers.IntegerField(),
                "delivered_at": _moment(),
                "last_error": serializers.CharField(allow_blank=True, help_text="Empty for a token that is bound to a tenant."),
            },
            many=True,
        ),
        "history": inline_serializer(
            "ExplainedLine",
            {
                "state": serializers.CharField(help_text=_STATES),
                "changed": serializers.BooleanField(),
                "notified": serializers.BooleanField(),
                "value": _value(),
                "samples": serializers.IntegerField(),
                "reason": _text(),
            },
            many=True,
        ),
        "agrees": serializers.BooleanField(help_text="Whether the history has what was found anew."),
        "differences": _texts(),
        "edited_since": inline_serializer(
            "ExplainedEdit",
            {
                "at": serializers.DateTimeField(),
                "by": serializers.CharField(allow_blank=True, help_text="Empty for a token that is bound to a tenant."),
                "fields": _texts(),
            },
            many=True,
        ),
        "remarks": _texts(),
        "steps": _texts(),
    },
)


class ExplainView(APIView):
    """One minute of one rule."""

    queryset = AlertRule.objects.none()
    permission_classes = [MayUse]

    @extend_schema(
        operation_id="rules_explain",
        tags=["rules"],
        summary="Why a rule did or did not notify in a minute",
        parameters=[
            OpenApiParameter("id", int, OpenApiParameter.PATH, description="The rule's."),
            OpenApiParameter("tenant", str, description="Of a rule that judges every tenant; otherwise the token's own."),
            OpenApiParameter("minute", OpenApiTypes.DATETIME, required=True, description="Any moment in it."),
        ],
        responses={
            200: EXPLANATION,
            **{(code, problem.MEDIA_TYPE): ProblemSerializer for code in (400, 401, 403, 404, 503)},
        },
    )
    def get(self, request: Request, pk: int) -> Response:
        """Judged anew by the function that evaluates, from stored minutes, beside what the history has."""
        query = request.query_params
        tenant = visible(request, query.get("tenant"))
        confined = bool(bound(request))
        parameters.check(request, ("tenant", "minute"))
        rule = AlertRule.objects.filter(pk=pk).first()
        if rule is None or (confined and not _concerns(rule, tenant)):
            raise Http404
        if "minute" not in query:
            raise RangeError("minute is missing: a moment such as 2026-01-05T00:00:00Z")
        found = explain(rule, tenant, to_minute(window.moment(query["minute"], "minute")))
        return Response(_of_tenant(found) if confined else as_json(found))


def _concerns(rule: AlertRule, tenant: str | None) -> bool:
    """Whether the rule judges the tenant: another one's, or one of all together, is none that it could know of."""
    return rule.scope == Scope.EVERY_TENANT or (rule.scope == Scope.ONE_TENANT and rule.tenant == tenant)


def _of_tenant(found: Explanation) -> dict[str, Any]:
    """Without the names of channels, of mute windows and of those who edit, and without what receivers answered.

    All of these are about everybody.
    """
    body = as_json(
        replace(
            found,
            judged=found.judged and replace(found.judged, events=[_nameless(event) for event in found.judged.events]),
            hold=found.hold and nameless(found.hold),
            deliveries=[replace(one, channel=_SOME_CHANNEL, last_error="") for one in found.deliveries],
            history=[_nameless(line) for line in found.history],
            differences=[nameless(one) for one in found.differences],
            edits=[replace(edit, by="") for edit in found.edits],
            remarks=[],
        )
    )
    body["notifications"] = [{**one, "channel": ""} for one in body["notifications"]]
    body["steps"] = [step for step in body["steps"] if not step.startswith("Told")]
    return body


def _nameless(line: Line) -> Line:
    return replace(line, reason=nameless(line.reason))
