"""The shapes of `POST /api/v1/interactions`: what it takes and what it answers."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.utils import OpenApiExample, inline_serializer
from rest_framework import serializers
from rest_framework.fields import Field

from apps.monitoring.api.serializers import ProblemSerializer

TOLD: Final = 100
"""Rejected lines that an answer lists; all of them are counted."""


def _count() -> Field:  # type: ignore[type-arg]
    return serializers.IntegerField(required=False, allow_null=True)


def _amount() -> Field:  # type: ignore[type-arg]
    return serializers.FloatField(required=False, allow_null=True)


def _text(told: str = "") -> Field:  # type: ignore[type-arg]
    return serializers.CharField(required=False, allow_null=True, help_text=told or None)


INTERACTION: Final = inline_serializer(
    "Interaction",
    {
        "tenant": _text("Needed with a token of all tenants; otherwise the token's own."),
        "timestamp": serializers.DateTimeField(
            required=False, allow_null=True, help_text="When it ended, with a zone. Without it: now."
        ),
        "conversation_id": _text(),
        "model": _text(),
        "provider": _text(),
        "customer_message": _text("For the log, under its content mode, and nothing else."),
        "agent_response": _text("The same."),
        "completed": serializers.BooleanField(required=False, allow_null=True, help_text="false: there was no answer."),
        "processing_time_ms": _amount(),
        "prompt_tokens": _count(),
        "completion_tokens": _count(),
        "estimated_cost_usd": _amount(),
        "handoff_triggered": serializers.BooleanField(required=False, allow_null=True),
        "handoff_reason": _text(),
        "intent": _text(),
        "confidence_score": _amount(),
        "errors": inline_serializer(
            "InteractionError", {"operation": _text(), "kind": _text()}, many=True, required=False, allow_null=True
        ),
        "llm_calls": inline_serializer(
            "InteractionCall",
            {
                "duration_ms": _amount(),
                "prompt_tokens": _count(),
                "completion_tokens": _count(),
                "cost_usd": _amount(),
                "error": _text(),
            },
            many=True,
            required=False,
            allow_null=True,
        ),
        "knowledge_searches": inline_serializer(
            "InteractionSearch",
            {
                "query": _text(),
                "result_count": _count(),
                "similarity_scores": serializers.ListField(child=serializers.FloatField(), required=False),
                "duration_ms": _amount(),
            },
            many=True,
            required=False,
            allow_null=True,
        ),
    },
)
_ONE: Final = {"$ref": "#/components/schemas/Interaction"}
BODIES: Final[dict[str, Any]] = {
    "application/x-ndjson": INTERACTION,
    "application/jsonl": INTERACTION,
    "application/json": {"oneOf": [_ONE, {"type": "array", "items": _ONE, "minItems": 1}]},
}
_EXAMPLE: Final = {
    "conversation_id": "c-17",
    "timestamp": "2026-01-05T09:12:03.250Z",
    "customer_message": "Where is my refund?",
    "agent_response": "It was sent on Friday.",
    "model": "gpt-4o",
    "provider": "openai",
    "processing_time_ms": 1240.5,
    "prompt_tokens": 812,
    "completion_tokens": 96,
    "intent": "refund",
    "confidence_score": 0.93,
    "llm_calls": [{"duration_ms": 1100.0, "prompt_tokens": 812, "completion_tokens": 96}],
    "knowledge_searches": [{"result_count": 3, "similarity_scores": [0.91, 0.84, 0.8], "duration_ms": 12.5}],
}
_WITHOUT_ANSWER: Final = {"conversation_id": "c-18", "completed": False, "errors": [{"operation": "llm"}]}
_ANSWER: Final = {
    "accepted": 2, "rejected": [{"line": 3, "detail": "llm_calls is no list"}], "rejected_count": 1, "repeated": False
}  # fmt: skip
EXAMPLES: Final = [
    OpenApiExample("one", _EXAMPLE, request_only=True, media_type="application/json"),
    OpenApiExample("several", [_EXAMPLE, _WITHOUT_ANSWER], request_only=True, media_type="application/json"),
    OpenApiExample("a line", _EXAMPLE, request_only=True, media_type="application/x-ndjson"),
    OpenApiExample("two of three", _ANSWER, response_only=True, status_codes=["202"]),
]

_COUNTED: Final = f"All of them; `rejected` has the first {TOLD}."


class RejectedLineSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """A line that is no interaction."""

    line = serializers.IntegerField(help_text="From 1: of its line, or of its place in the array.")
    detail = serializers.CharField()


def _rejected(*, required: bool) -> dict[str, Any]:
    return {
        "rejected": RejectedLineSerializer(many=True, required=required),
        "rejected_count": serializers.IntegerField(required=required, help_text=_COUNTED),
    }


RECORDED: Final = inline_serializer(
    "RecordedBatch",
    {
        "accepted": serializers.IntegerField(help_text="Interactions that count."),
        **_rejected(required=True),
        "repeated": serializers.BooleanField(help_text="All of it had come before, under the same key."),
    },
)
REFUSED: Final = inline_serializer("RejectedBatch", {**ProblemSerializer().get_fields(), **_rejected(required=False)})
"""Problem details; with the lines when it is the lines."""
