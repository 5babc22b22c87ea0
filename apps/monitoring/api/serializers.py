"""The shapes that the OpenAPI schema shows."""

from __future__ import annotations

from rest_framework import serializers


class ProblemSerializer(serializers.Serializer):  # type: ignore[type-arg]
    """RFC 9457 problem details."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()


def _numbers(name: str, **fields: type[serializers.Field]) -> serializers.Serializer:  # type: ignore[type-arg]
    """A block of numbers, each of which may be null: a statistic without samples is null, never 0."""
    built = {key: field(allow_null=True) for key, field in fields.items()}
    block: serializers.Serializer = type(name, (serializers.Serializer,), built)()  # type: ignore[type-arg]
    return block


_Float = serializers.FloatField
_Int = serializers.IntegerField
_Dict = serializers.DictField


class SummarySerializer(serializers.Serializer):  # type: ignore[type-arg]
    """The summary. Response times in ms, costs in USD, rates as shares of 1."""

    tenant = serializers.CharField(allow_null=True)
    complete_until = serializers.DateTimeField(allow_null=True)
    to = serializers.DateTimeField()
    response_time = _numbers(
        "ResponseTime", p50_ms=_Float, p95_ms=_Float, p99_ms=_Float, mean_ms=_Float, min_ms=_Float, max_ms=_Float,
        sample_count=_Int,
    )  # fmt: skip
    token_usage = _numbers(
        "TokenUsage", total_tokens=_Int, prompt_tokens=_Int, completion_tokens=_Int, avg_per_conversation=_Float,
        conversation_count=_Int, interactions_without_tokens=_Int,
    )  # fmt: skip
    cost = _numbers(
        "Cost", total_usd=_Float, avg_per_conversation_usd=_Float, avg_per_token_usd=_Float, by_model=_Dict,
        unpriced_interactions=_Int,
    )  # fmt: skip
    handoff = _numbers("Handoff", total_handoffs=_Int, handoff_rate=_Float, by_reason=_Dict)
    knowledge_base = _numbers(
        "KnowledgeBase", total_searches=_Int, hit_rate=_Float, avg_results=_Float, avg_similarity_score=_Float
    )
    model_usage = serializers.DictField(child=_numbers("ModelUsage", count=_Int, share=_Float, cost_usd=_Float))
    confidence = _numbers("Confidence", mean=_Float, p50=_Float, sample_count=_Int)
    intents = serializers.ListField(child=_numbers("Intent", intent=serializers.CharField, count=_Int, share=_Float))
    errors = _numbers("Errors", total=_Int, error_rate=_Float, by_operation=_Dict)  # type: ignore[assignment]
    llm_calls = _numbers("LlmCalls", total=_Int, error_rate=_Float, p95_ms=_Float, by_provider=_Dict)
    feedback = _numbers("Feedback", count=_Int, mean=_Float)
    interactions = _numbers("Interactions", total=_Int, answered=_Int)

    def get_fields(self) -> dict[str, serializers.Field]:  # type: ignore[type-arg]
        """``from`` is a word of Python, so it cannot be an attribute."""
        return {"from": serializers.DateTimeField(), **super().get_fields()}
