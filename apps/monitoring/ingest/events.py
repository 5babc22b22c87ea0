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
from apps.monitoring.core import pricing, series, values
from apps.monitoring.core.event import HEAD, Event, position
from apps.monitoring.core.tokens import GIVEN, INPUT, OUTPUT, Counts, disjoint, is_complete
from apps.monitoring.core.values import MAX_STORED, RefusedError
from apps.monitoring.ingest.tally import Tally

_INTERACTIONS: Final = METRICS["interactions"]
_ANSWERED: Final = METRICS["interactions_answered"]
_FAILED: Final = METRICS["interactions_failed"]
_RESPONSE_TIME: Final = METRICS["response_time"]
_TOKENS: Final = METRICS["tokens"]
_WITH_TOKENS: Final = METRICS["interactions_with_tokens"]
_COST: Final = METRICS["cost"]
_COMPUTED_COSTS: Final = METRICS["computed_costs"]
_UNKNOWN_PRICES: Final = METRICS["unknown_prices"]
_MODEL_USAGE: Final = METRICS["model_usage"]
_HANDOFFS: Final = METRICS["handoffs"]
_CONVERSATIONS: Final = METRICS["conversations"]
_HANDOFF_CONVERSATIONS: Final = METRICS["handoff_conversations"]
_CONFIDENCE: Final = METRICS["confidence"]
_INTENTS: Final = METRICS["intents"]
_ERRORS: Final = METRICS["errors"]
_LLM_CALLS: Final = METRICS["llm_calls"]
_LLM_CALL_ERRORS: Final = METRICS["llm_call_errors"]
_LLM_CALLS_CANCELLED: Final = METRICS["llm_calls_cancelled"]
_FIRST_TOKEN: Final = METRICS["llm_time_to_first_token"]
_LLM_CALL_DURATION: Final = METRICS["llm_call_duration"]
_LLM_CALL_TOKENS: Final = METRICS["llm_call_tokens"]
_LLM_CALL_COST: Final = METRICS["llm_call_cost"]
_CONTEXT_BUILDS: Final = METRICS["context_builds"]
_CONTEXT_BUILD_DURATION: Final = METRICS["context_build_duration"]
_CONTEXT_COMPONENTS: Final = METRICS["context_components"]
_HANDOFF_DECISIONS: Final = METRICS["handoff_decisions"]
_SEARCHES: Final = METRICS["knowledge_searches"]
_HITS: Final = METRICS["knowledge_hits"]
_RESULTS: Final = METRICS["knowledge_results"]
_SIMILARITY: Final = METRICS["knowledge_similarity"]
_SEARCH_DURATION: Final = METRICS["knowledge_search_duration"]
_FEEDBACK: Final = METRICS["feedback"]

_ESTIMATED_COST: Final = position("agent_interaction", "estimated_cost")
_ESTIMATED_BY: Final = position("agent_interaction", "pricing")
_CALL_COST: Final = position("llm_api_call", "cost")
_CALL_COST_BY: Final = position("llm_api_call", "pricing")

_MAX_USER_LABELS: Final = 1_500
"""Bytes of all labels of a user's metric together: beyond 2,700 Postgres cannot index the series, and no batch with it
could ever be rolled up."""

NO_ANSWER: Final = "no_answer"
"""The operation that an interaction without an answer and without a named error failed in."""


def _interaction(tally: Tally, event: Event) -> None:
    (_, _, _, _, _, conversation, _, response, model, confidence, processing_time, token_usage, cost, pricing,
     handoff, handoff_reason, intent, errors) = event  # fmt: skip
    tally.count(_INTERACTIONS.code)
    tally.count(tally.series(_MODEL_USAGE, model))
    tally.member(_CONVERSATIONS, conversation)
    if response is not None:
        tally.count(_ANSWERED.code)
        tally.number(_RESPONSE_TIME, _RESPONSE_TIME.code, processing_time)
    if errors is not None or response is None:
        _failures(tally, errors, answered=response is not None)
    used = _tokens(tally, _TOKENS, token_usage)
    if used is not None:
        tally.count(_WITH_TOKENS.code)
    if cost is not None:
        tally.number(_COST, tally.series(_COST, model), cost)
    elif used is not None and pricing is None:
        computed = _computed_cost(tally, _COST, model, used, None, model)
        if computed is not None:  # the line, which is written later, says it too
            event[_ESTIMATED_COST], event[_ESTIMATED_BY] = computed
    tally.number(_CONFIDENCE, _CONFIDENCE.code, confidence)
    if intent is not None:
        tally.count(tally.series(_INTENTS, intent))
    if tally.truth(handoff):
        tally.count(tally.series(_HANDOFFS, handoff_reason))
        tally.member(_HANDOFF_CONVERSATIONS, conversation)


def _failures(tally: Tally, given: object, *, answered: bool) -> None:
    errors = tally.items(given)
    if not errors:
        if answered:
            return
        errors = [NO_ANSWER]
    tally.count(_FAILED.code)
    for error in errors:
        operation = tally.entries(error).get("operation") if isinstance(error, Mapping) else error
        tally.count(tally.series(_ERRORS, operation))


def _tokens(tally: Tally, metric: Metric, usage: object, *labels: object) -> Counts | None:
    """Count what was reported, by kind; None when nothing was."""
    given = tally.entries(usage)
    found = _plain(given)
    if found is None:
        known: dict[str, int] = {}
        for name in GIVEN:
            value = given.get(name)
            count = None if value is None else tally.stored(metric, value)
            if count is not None:
                known[name] = count
        if not known:
            return None
        found, contradictions = disjoint(known)
        for _ in range(contradictions):
            tally.refuse("contradictory")
    slot = tally.slot
    for kind, count in found.items():
        # One label is spelled without a look at each of several.
        slot.add(tally.series_of(metric, kind, *labels) if labels else tally.series(metric, kind), count)
    return found


def _plain(given: dict[Any, Any]) -> Counts | None:
    """What `disjoint` says of the most common case: prompt, completion, and perhaps their sum."""
    prompt, completion = given.get("prompt_tokens"), given.get("completion_tokens")
    if type(prompt) is int and type(completion) is int and 0 <= prompt <= MAX_STORED and 0 <= completion <= MAX_STORED:
        others = len(given) - 2
        if not others or (others == 1 and given.get("total_tokens") == prompt + completion):
            return {INPUT: prompt, OUTPUT: completion}
    return None


def _computed_cost(
    tally: Tally, metric: Metric, label: object, used: Counts, provider: object, model: object
) -> tuple[float, str] | None:
    """Add the cost that the tokens have by the price list; which it is, in US dollars, and by which list."""
    if tally.prices is None:
        return None
    prices = tally.prices.find(provider, model)
    computed = None if prices is None else pricing.cost(prices, used)
    if prices is None or (computed is None and is_complete(used)):  # not listed, or listed without a rate that is needed
        tally.count(tally.series(_UNKNOWN_PRICES, model))
        return None
    if computed is None or computed > MAX_STORED:
        tally.refuse("no_cost" if computed is None else "too_large")
        return None
    tally.slot.add(tally.series(metric, label), computed)
    tally.count(tally.series(_COMPUTED_COSTS, prices.source))
    return computed / metric.scale, prices.source


def _llm_call(tally: Tally, event: Event) -> None:
    _, provider, model, duration, token_usage, first_token, cost, pricing, error, cancelled = event[HEAD:]
    tally.count(tally.series(_LLM_CALLS, provider))
    if error is not None:
        tally.count(tally.series(_LLM_CALL_ERRORS, provider))
    if cancelled is not None and tally.truth(cancelled):
        tally.count(tally.series(_LLM_CALLS_CANCELLED, provider))
    tally.number(_LLM_CALL_DURATION, tally.series(_LLM_CALL_DURATION, provider), duration)
    tally.number(_FIRST_TOKEN, tally.series(_FIRST_TOKEN, provider), first_token)
    used = _tokens(tally, _LLM_CALL_TOKENS, token_usage, provider)
    if cost is not None:
        tally.number(_LLM_CALL_COST, tally.series(_LLM_CALL_COST, provider), cost)
    elif used is not None and pricing is None:
        computed = _computed_cost(tally, _LLM_CALL_COST, provider, used, provider, model)
        if computed is not None:
            event[_CALL_COST], event[_CALL_COST_BY] = computed


def _context_build(tally: Tally, event: Event) -> None:
    _, components, duration = event[HEAD:]
    tally.count(_CONTEXT_BUILDS.code)
    tally.number(_CONTEXT_BUILD_DURATION, _CONTEXT_BUILD_DURATION.code, duration)
    for component, parts in tally.entries(components).items():
        tally.number(_CONTEXT_COMPONENTS, tally.series(_CONTEXT_COMPONENTS, component), parts)


def _handoff_decision(tally: Tally, event: Event) -> None:
    _, decision, _, _, _ = event[HEAD:]
    tally.count(tally.series(_HANDOFF_DECISIONS, "handoff" if tally.truth(decision) else "stay"))


def _knowledge_search(tally: Tally, event: Event) -> None:
    _, _, result_count, scores, duration = event[HEAD:]
    tally.count(_SEARCHES.code)
    if tally.number(_RESULTS, _RESULTS.code, result_count):
        tally.count(_HITS.code)
    for score in tally.items(scores):
        tally.number(_SIMILARITY, _SIMILARITY.code, score)
    tally.number(_SEARCH_DURATION, _SEARCH_DURATION.code, duration)


def _error(tally: Tally, event: Event) -> None:
    operation, _, context = event[HEAD:]
    tally.count(tally.series(_ERRORS, operation))
    if type(context) is dict:
        for value in tally.entries(context).values():
            if values.is_lazy(value):
                tally.refuse("lazy")


def _feedback(tally: Tally, event: Event) -> None:
    _, score = event[HEAD:]
    tally.number(_FEEDBACK, _FEEDBACK.code, score)


def _user_metric(tally: Tally, event: Event) -> None:
    name, kind, value, given = event[HEAD:]
    try:
        metric = catalogue.user_metric(values.text(name, 101), kind)
        labels = {tally.label(k): tally.label(v) for k, v in given.items()}
    except ValueError as refused:
        tally.refuse(refused.reason if isinstance(refused, RefusedError) else "metric_name")
        return
    spelled = series.user_values(labels)
    if sum(len(part.encode()) for part in spelled) > _MAX_USER_LABELS:
        tally.refuse("too_many_labels")
        return
    if metric.kind is Kind.HISTOGRAM:
        tally.number_of_user(metric, value, spelled)
    else:
        tally.count_of_user(metric, value, spelled)


def _refusal(tally: Tally, event: Event) -> None:
    (reason,) = event[HEAD:]
    tally.refuse(values.label(reason))


TRANSLATORS: Final[Mapping[str, Callable[[Tally, Event], None]]] = MappingProxyType(
    {
        "agent_interaction": _interaction,
        "llm_api_call": _llm_call,
        "context_building": _context_build,
        "handoff_decision": _handoff_decision,
        "knowledge_search": _knowledge_search,
        "error": _error,
        "feedback": _feedback,
        "user_metric": _user_metric,
        "refusal": _refusal,
    }
)
"""By event type; the first six are also written to the log."""
