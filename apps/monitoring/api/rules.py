"""Rules: `/api/v1/rules`, and what one would do or would have done."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Prefetch, QuerySet, prefetch_related_objects
from drf_spectacular.utils import OpenApiParameter, extend_schema, extend_schema_view
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.monitoring.api import tenancy, trial
from apps.monitoring.api.checked import Checked
from apps.monitoring.api.rows import EditedRows
from apps.monitoring.core import rules
from apps.monitoring.models import AlertRule, Channel

_FAILED: Final = "The last evaluation failed; whoever runs this sees why."


def _channels() -> Prefetch[Any]:
    """Their names: a secret that cannot be read hides no rule."""
    return Prefetch("channels", Channel.without_secrets.all())


class RuleSerializer(Checked[AlertRule]):
    """A rule. Stretches of time are minutes; the threshold is in `unit`."""

    channels = serializers.SlugRelatedField(
        many=True,
        slug_field="name",
        queryset=Channel.without_secrets.all(),
        required=False,
        help_text="Names; none: every default channel. Not shown to a token bound to a tenant.",
    )
    condition = serializers.SerializerMethodField(help_text="In words.")
    unit = serializers.SerializerMethodField(help_text="Of the value and of the thresholds.")

    class Meta:
        model = AlertRule
        fields = (
            "id", "name", "description", "enabled", "severity", "metric", "statistic", "operator", "threshold",
            "recovery_threshold", "window_minutes", "min_samples", "change_against", "budget", "scope", "tenant",
            "label_filter", "for_minutes", "keep_firing_for_minutes", "no_data", "channels", "cooldown_minutes",
            "message_template", "runbook_url", "condition", "unit", "error", "error_since", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = ("error", "error_since")

    def get_condition(self, rule: AlertRule) -> str:
        """As the admin lists it."""
        return rules.condition(rule.definition())

    def get_unit(self, rule: AlertRule) -> str:
        """As the catalogue has it."""
        return rule.definition().unit

    def to_representation(self, instance: AlertRule) -> dict[str, Any]:
        """Whom it tells, and how it broke, is not the tenant's."""
        prefetch_related_objects([instance], _channels())  # asks nothing where the view has asked
        shown = super().to_representation(instance)
        if tenancy.bound(self.context["request"]):
            del shown["channels"]
            shown["error"] = shown["error"] and _FAILED
        return shown


@extend_schema_view(
    list=extend_schema(
        summary="Every rule, by name", parameters=[OpenApiParameter("name", str, description="Only the rule of this name.")]
    ),
    retrieve=extend_schema(summary="One rule"),
    create=extend_schema(summary="Make a rule"),
    update=extend_schema(summary="Change a rule; what has no default has to be given"),
    partial_update=extend_schema(summary="Change some of a rule"),
    destroy=extend_schema(summary="Delete a rule; what it has open ends, and whoever was told of it is told that"),
)
@extend_schema(tags=["rules"])
class RulesView(EditedRows[AlertRule]):
    """A token bound to a tenant sees the rules that judge this tenant alone, and changes none."""

    queryset = AlertRule.objects.prefetch_related(_channels())
    serializer_class = RuleSerializer
    ordering = "name"
    asked = ("name",)
    needed = dict.fromkeys(("backtest", "backtest_unsaved", "suggest", "suggest_unsaved"), tenancy.VIEW)

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """By name."""
        name = self.request.query_params.get("name") if self.action == "list" else None
        return queryset if name is None else queryset.filter(name=name)

    @extend_schema(
        operation_id="rules_backtest",
        summary="What the rule would have done, with other values if wished",
        request=trial.BacktestSerializer,
        responses=trial.BACKTEST,
    )
    @action(detail=True, methods=["post"])
    def backtest(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the framework's signature
        """By the function that evaluates, on stored minutes. Nothing is written, nobody is told."""
        return Response(trial.backtested(request, self.get_object()))

    @extend_schema(
        operation_id="rules_backtest_unsaved",
        summary="What a rule that is not saved would have done",
        request=trial.UnsavedBacktestSerializer,
        responses=trial.BACKTEST,
    )
    @action(detail=False, methods=["post"], url_path="backtest")
    def backtest_unsaved(self, request: Request) -> Response:
        """The same of values alone."""
        return Response(trial.backtested(request, None))

    @extend_schema(
        operation_id="rules_suggest",
        summary="A threshold with which the rule has so many alerts a week",
        request=trial.SuggestSerializer,
        responses=trial.SUGGESTION,
    )
    @action(detail=True, methods=["post"])
    def suggest(self, request: Request, pk: str) -> Response:  # noqa: ARG002 - the framework's signature
        """Found by backtests on stored minutes. Nothing is changed."""
        return Response(trial.suggested(request, self.get_object()))

    @extend_schema(
        operation_id="rules_suggest_unsaved",
        summary="A threshold for a rule that is not saved",
        request=trial.UnsavedSuggestSerializer,
        responses=trial.SUGGESTION,
    )
    @action(detail=False, methods=["post"], url_path="suggest")
    def suggest_unsaved(self, request: Request) -> Response:
        """The same of values alone."""
        return Response(trial.suggested(request, None))
