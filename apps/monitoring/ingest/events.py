"""What each event counts.

The arguments come from the caller's code as they are. A value that cannot be counted is left out and counted as
refused under its reason; the rest of the event counts on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from apps.monitoring import catalogue
from apps.monitoring.catalogue import METRICS, Kind, Metric
from apps.monitoring.core import series, values
from apps.monitoring.core.values import RefusedError
from apps.monitoring.ingest.tally import Tally

Fields = Mapping[str, Any]

_INTERACTIONS: Final = METRICS["interactions"]
_ANSWERED: Final = METRICS["interactions_answered"]
_FAILED: Final = METRICS["interactions_failed"]
_RESPONSE_TIME: Final = METRICS["response_time"]
_TOKENS: Final = METRICS["tokens"]
_COST: Final = METRICS["cost"]
_MODEL_USAGE: Final = METRICS["model_usage"]
_HANDOFFS: Final = METRICS["handoffs"]
_CONVERSATIONS: Final = METRICS["conversations"]
_HANDOFF_CONVERSATIONS: Final = METRICS["handoff_conversations"]
_CONFIDENCE: Final = METRICS["confidence"]
_INTENTS: Final = METRICS["intents"]
_ERRORS: Final = METRICS["errors"]

_MAX_USER_LABELS: Final = 1_500
"""Bytes of all labels of a user's metric together: beyond 2,700 Postgres cannot index the series, and no batch with it
could ever be rolled up."""

NO_ANSWER: Final = "no_answer"
"""The operation that an interaction without an answer and without a named error failed in."""


def _interaction(tally: Tally, event: Fields) -> None:
    model, conversation = event["model_used"], event["conversation_id"]
    tally.count(_INTERACTIONS)
    tally.count_by(_MODEL_USAGE, model)
    tally.member(_CONVERSATIONS, conversation)
    if event["agent_response"] is not None:
        tally.count(_ANSWERED)
        tally.number(_RESPONSE_TIME, event["processing_time_ms"])
    _failures(tally, event)
    _tokens(tally, _TOKENS, event["token_usage"])
    tally.number(_COST, event["estimated_cost"], model)
    tally.number(_CONFIDENCE, event["confidence_score"])
    if event["intent"] is not None:
        tally.count_by(_INTENTS, event["intent"])
    if tally.truth(event["handoff_triggered"]):
        tally.count_by(_HANDOFFS, event["handoff_reason"])
        tally.member(_HANDOFF_CONVERSATIONS, conversation)


def _failures(tally: Tally, event: Fields) -> None:
    errors = tally.items(event["errors"])
    if not errors and event["agent_response"] is None:
        errors = [NO_ANSWER]
    if errors:
        tally.count(_FAILED)
    for error in errors:
        tally.count_by(_ERRORS, tally.entries(error).get("operation") if isinstance(error, Mapping) else error)


def _tokens(tally: Tally, metric: Metric, usage: object, *labels: object) -> None:
    """Prompt, completion and total; a total that was not given is the sum, when both parts were."""
    given = tally.entries(usage)
    prompt = tally.number(metric, given.get("prompt_tokens"), "prompt", *labels)
    completion = tally.number(metric, given.get("completion_tokens"), "completion", *labels)
    total = given.get("total_tokens")
    if total is None and prompt is not None and completion is not None:
        total = prompt + completion
    tally.number(metric, total, "total", *labels)


def _llm_call(tally: Tally, event: Fields) -> None:
    provider = event["provider"]
    tally.count_by(METRICS["llm_calls"], provider)
    if event["error"] is not None:
        tally.count_by(METRICS["llm_call_errors"], provider)
    tally.number(METRICS["llm_call_duration"], event["duration_ms"], provider)
    _tokens(tally, METRICS["llm_call_tokens"], event["token_usage"], provider)
    tally.number(METRICS["llm_call_cost"], event["cost"], provider)


def _context_build(tally: Tally, event: Fields) -> None:
    tally.count(METRICS["context_builds"])
    tally.number(METRICS["context_build_duration"], event["duration_ms"])
    for component, parts in tally.entries(event["components"]).items():
        tally.number(METRICS["context_components"], parts, component)


def _handoff_decision(tally: Tally, event: Fields) -> None:
    tally.count_by(METRICS["handoff_decisions"], "handoff" if tally.truth(event["decision"]) else "stay")


def _knowledge_search(tally: Tally, event: Fields) -> None:
    tally.count(METRICS["knowledge_searches"])
    if tally.number(METRICS["knowledge_results"], event["result_count"]):
        tally.count(METRICS["knowledge_hits"])
    for score in tally.items(event["similarity_scores"]):
        tally.number(METRICS["knowledge_similarity"], score)
    tally.number(METRICS["knowledge_search_duration"], event["duration_ms"])


def _error(tally: Tally, event: Fields) -> None:
    tally.count_by(_ERRORS, event["operation"])


def _feedback(tally: Tally, event: Fields) -> None:
    tally.number(METRICS["feedback"], event["score"])


def _user_metric(tally: Tally, event: Fields) -> None:
    try:
        metric = catalogue.user_metric(values.text(event["name"], 101), event["kind"])
        labels = {values.label(k): values.label(v) for k, v in event["labels"].items()}
    except ValueError as refused:
        tally.refuse(refused.reason if isinstance(refused, RefusedError) else "metric_name")
        return
    spelled = series.user_values(labels)
    if sum(len(part.encode()) for part in spelled) > _MAX_USER_LABELS:
        tally.refuse("too_many_labels")
        return
    if metric.kind is Kind.HISTOGRAM:
        tally.number_of_user(metric, event["value"], spelled)
    else:
        tally.count_of_user(metric, event["value"], spelled)


TRANSLATORS: Final[Mapping[str, Callable[[Tally, Fields], None]]] = MappingProxyType(
    {
        "agent_interaction": _interaction,
        "llm_api_call": _llm_call,
        "context_building": _context_build,
        "handoff_decision": _handoff_decision,
        "knowledge_search": _knowledge_search,
        "error": _error,
        "feedback": _feedback,
        "user_metric": _user_metric,
    }
)
"""By event type; the first six are also written to the log."""
