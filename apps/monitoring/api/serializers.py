"""The shapes that the OpenAPI schema shows. A statistic without samples is null, never 0; a count is never null."""

from __future__ import annotations

from typing import Final

from drf_spectacular.utils import inline_serializer
from rest_framework import serializers
from rest_framework.fields import Field

from apps.monitoring.core.rules import Severity

PARTS: Final = ("database", "hot_store", "rollup", "evaluation", "tasks")
"""What readiness depends on, by name; `tasks` is beat: whether the periodic tasks are run at all, and succeed."""
SEVERITIES: Final = tuple(one.value for one in Severity)
STATES: Final = ("ok", "failing", "unknown")


class ProblemSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = serializers.JSONField(required=False, help_text="What is wrong, by field.")  # type: ignore[assignment]


class HealthSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The process answers."""

    status = serializers.ChoiceField(["ok"])


READINESS: Final = inline_serializer(
    "Readiness",
    {
        "status": serializers.ChoiceField(["ok", "failing"]),
        "dependencies": inline_serializer("Dependencies", {part: serializers.ChoiceField(STATES) for part in PARTS}),
    },
)


def _count() -> Field:  # type: ignore[type-arg]
    return serializers.IntegerField()


def _sum() -> Field:  # type: ignore[type-arg]
    return serializers.IntegerField(allow_null=True)


def number() -> Field:  # type: ignore[type-arg]
    """A statistic: null where there is nothing that it could be made of."""
    return serializers.FloatField(allow_null=True)


def _counts() -> Field:  # type: ignore[type-arg]
    return serializers.DictField(child=_count())


SUMMARY: Final = inline_serializer(
    "Summary",
    {
        "tenant": serializers.CharField(allow_null=True, help_text="null: all tenants together."),
        "from": serializers.DateTimeField(help_text="Start, included; whole minutes."),
        "to": serializers.DateTimeField(help_text="End, not included."),
        "complete_until": serializers.DateTimeField(allow_null=True, help_text="Every minute before is rolled up."),
        "response_time": inline_serializer(
            "ResponseTime",
            {
                **{f"{name}_ms": number() for name in ("p50", "p95", "p99", "mean", "min", "max")},
                "sample_count": _count(),
            },
        ),
        "token_usage": inline_serializer(
            "TokenUsage",
            {
                **{f"{kind}_tokens": _sum() for kind in ("total", "prompt", "completion")},
                "by_kind": _counts(),
                "avg_per_conversation": number(),
                "conversation_count": _count(),
                "interactions_without_tokens": _count(),
            },
        ),
        "cost": inline_serializer(
            "Cost",
            {
                "total_usd": number(),
                "avg_per_conversation_usd": number(),
                "avg_per_token_usd": number(),
                "by_model": serializers.DictField(child=number()),
                "unpriced_interactions": _count(),
            },
        ),
        "handoff": inline_serializer("Handoff", {"total_handoffs": _count(), "handoff_rate": number(), "by_reason": _counts()}),
        "knowledge_base": inline_serializer(
            "KnowledgeBase",
            {
                "total_searches": _count(),
                "hit_rate": number(),
                "avg_results": number(),
                "avg_similarity_score": number(),
            },
        ),
        "model_usage": serializers.DictField(
            child=inline_serializer("ModelUsage", {"count": _count(), "share": number(), "cost_usd": number()})
        ),
        "confidence": inline_serializer("Confidence", {"mean": number(), "p50": number(), "sample_count": _count()}),
        "intents": inline_serializer(
            "Intent", {"intent": serializers.CharField(), "count": _count(), "share": number()}, many=True
        ),
        "errors": inline_serializer("Errors", {"total": _count(), "error_rate": number(), "by_operation": _counts()}),
        "llm_calls": inline_serializer(
            "LlmCalls",
            {
                "total": _count(),
                "error_rate": number(),
                "p95_ms": number(),
                "by_provider": serializers.DictField(
                    child=inline_serializer("ProviderCalls", {"count": _count(), "error_rate": number(), "p95_ms": number()})
                ),
            },
        ),
        "feedback": inline_serializer("Feedback", {"count": _count(), "mean": number()}),
        "interactions": inline_serializer("Interactions", {"total": _count(), "answered": _count()}),
    },
)

SERIES: Final = inline_serializer(
    "Series",
    {
        "tenant": serializers.CharField(allow_null=True, help_text="null: all tenants together."),
        "metric": serializers.CharField(),
        "stat": serializers.CharField(),
        "unit": serializers.CharField(help_text="Of every value; empty when the unit is the caller's own."),
        "from": serializers.DateTimeField(help_text="Start of the first step."),
        "to": serializers.DateTimeField(help_text="End of the last step."),
        "step_seconds": _count(),
        "complete_until": serializers.DateTimeField(allow_null=True, help_text="Every minute before is rolled up."),
        "timestamps": serializers.ListField(child=serializers.DateTimeField(), help_text="The start of each step."),
        "series": inline_serializer(
            "Line",
            {
                "labels": serializers.DictField(child=serializers.CharField()),
                "values": serializers.ListField(child=serializers.FloatField(allow_null=True), help_text="One a step."),
            },
            many=True,
        ),
    },
)
