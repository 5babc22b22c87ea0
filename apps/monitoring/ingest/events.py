"""What each event adds to the slot of its tenant and minute.

The arguments come from the caller's code as they are. A value that cannot be counted is left out and counted as
refused under its reason; the rest of the event counts on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from apps.monitoring import catalogue
from apps.monitoring.catalogue import METRICS, Kind, Metric
from apps.monitoring.core import distinct, series, values
from apps.monitoring.core.values import RefusedError
from apps.monitoring.ingest.labels import LabelCaps, overflowed
from apps.monitoring.ingest.slot import Slot

Fields = Mapping[str, Any]
_MAX_ITEMS: Final = 1_000
"""Scores or errors of one event that are looked at: an endless iterator must not hold the thread."""


class Tally:
    """Puts the values of one event into a slot."""

    def __init__(self, slot: Slot, caps: LabelCaps, tenant: str) -> None:
        self._slot = slot
        self._caps = caps
        self._tenant = tenant

    def count(self, metric: str | Metric, *labels: object, times: int = 1) -> None:
        """Count an event of a counter."""
        self._slot.count(self._series(metric, labels), times)

    def number(self, metric: str | Metric, value: object, *labels: object) -> bool:
        """Add a value to an amount or a histogram; a missing one is missing. True when it was counted."""
        if value is None:
            return False
        kind = METRICS[metric] if isinstance(metric, str) else metric
        try:
            amount = values.stored(value, kind.scale, negative=kind.kind is Kind.AMOUNT and kind.unit == catalogue.SCORE)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return False
        put = self._slot.observe if kind.kind is Kind.HISTOGRAM else self._slot.add
        put(self._series(kind, labels), amount)
        return True

    def member(self, metric: str, value: object) -> None:
        """Put a member into a distinct count; tenants do not share members."""
        if value is None:
            return
        try:
            name = values.text(value, 512)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return
        self._slot.include(METRICS[metric].code, distinct.hash_of(f"{self._tenant}\x00{name}"))

    def refuse(self, reason: str) -> None:
        """Count a refused value."""
        self._slot.count(series.encode(METRICS["refused_values"], (reason,)))

    def items(self, value: object) -> list[Any]:
        """The items of an iterable that a caller handed over, bounded; none when it is no iterable of items."""
        if value is None:
            return []
        if isinstance(value, str | bytes) or not isinstance(value, Iterable):
            self.refuse("not_a_list")
            return []
        return [item for _, item in zip(range(_MAX_ITEMS), value, strict=False)]

    def _series(self, metric: str | Metric, labels: tuple[object, ...]) -> str:
        kind = METRICS[metric] if isinstance(metric, str) else metric
        if not labels:
            return kind.code
        cleaned = tuple(self._label(value) for value in labels)
        admitted = self._caps.admit(self._tenant, kind.code, cleaned)
        if admitted is None:
            self._slot.count(series.encode(METRICS["label_overflow"], (kind.name,)))
            admitted = overflowed(cleaned)
        return series.encode(kind, admitted)

    def _label(self, value: object) -> str:
        if value is None:
            return catalogue.UNSPECIFIED
        try:
            return values.label(value)
        except RefusedError as refused:
            self.refuse(refused.reason)
            return catalogue.OTHER


def _interaction(tally: Tally, event: Fields) -> None:
    errors = tally.items(event.get("errors"))
    answered = event.get("agent_response") is not None
    tally.count("interactions")
    tally.count("model_usage", event.get("model_used"))
    tally.member("conversations", event.get("conversation_id"))
    if answered:
        tally.count("interactions_answered")
        tally.number("response_time", event.get("processing_time_ms"))
    elif not errors:
        errors = [{"operation": "no_answer"}]
    if errors:
        tally.count("interactions_failed")
    for error in errors:
        tally.count("errors", error.get("operation") if isinstance(error, Mapping) else error)
    _tokens(tally, "tokens", event.get("token_usage"))
    tally.number("cost", event.get("estimated_cost"), event.get("model_used"))
    tally.number("confidence", event.get("confidence_score"))
    if event.get("intent") is not None:
        tally.count("intents", event.get("intent"))
    if event.get("handoff_triggered"):
        tally.count("handoffs", event.get("handoff_reason"))
        tally.member("handoff_conversations", event.get("conversation_id"))


def _tokens(tally: Tally, metric: str, usage: object, *labels: object) -> None:
    """Prompt, completion and total; a total that was not given is the sum, when both parts were."""
    if usage is None:
        return
    if not isinstance(usage, Mapping):
        tally.refuse("not_a_mapping")
        return
    prompt, completion, total = (usage.get(f"{kind}_tokens") for kind in ("prompt", "completion", "total"))
    has_prompt = tally.number(metric, prompt, "prompt", *labels)
    has_completion = tally.number(metric, completion, "completion", *labels)
    if total is None and has_prompt and has_completion:
        total = prompt + completion
    tally.number(metric, total, "total", *labels)


def _llm_call(tally: Tally, event: Fields) -> None:
    provider = event.get("provider")
    tally.count("llm_calls", provider)
    if event.get("error") is not None:
        tally.count("llm_call_errors", provider)
    tally.number("llm_call_duration", event.get("duration_ms"), provider)
    _tokens(tally, "llm_call_tokens", event.get("token_usage"), provider)
    tally.number("llm_call_cost", event.get("cost"), provider)


def _context_build(tally: Tally, event: Fields) -> None:
    tally.count("context_builds")
    tally.number("context_build_duration", event.get("duration_ms"))
    components = event.get("components")
    if isinstance(components, Mapping):
        for component in tally.items(components):
            tally.number("context_components", components[component], component)
    elif components is not None:
        tally.refuse("not_a_mapping")


def _handoff_decision(tally: Tally, event: Fields) -> None:
    tally.count("handoff_decisions", "handoff" if event.get("decision") else "stay")


def _knowledge_search(tally: Tally, event: Fields) -> None:
    tally.count("knowledge_searches")
    found = event.get("result_count")
    if tally.number("knowledge_results", found) and found:
        tally.count("knowledge_hits")
    for score in tally.items(event.get("similarity_scores")):
        tally.number("knowledge_similarity", score)
    tally.number("knowledge_search_duration", event.get("duration_ms"))


def _error(tally: Tally, event: Fields) -> None:
    tally.count("errors", event.get("operation"))


def _feedback(tally: Tally, event: Fields) -> None:
    tally.number("feedback", event.get("score"))


def _user_metric(tally: Tally, event: Fields) -> None:
    try:
        metric = catalogue.user_metric(values.text(event["name"], 101), event["kind"])
        labels = {values.label(k): values.label(v) for k, v in event["labels"].items()}
    except ValueError as refused:
        tally.refuse(refused.reason if isinstance(refused, RefusedError) else "metric_name")
        return
    spelled = series.user_values(labels)
    if metric.kind is Kind.HISTOGRAM:
        tally.number(metric, event["value"], *spelled)
        return
    try:
        tally.count(metric, *spelled, times=values.stored(event["value"], 1))
    except RefusedError as refused:
        tally.refuse(refused.reason)


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
