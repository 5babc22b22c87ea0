"""What a span counts as: from its attributes to the arguments of one method of the monitor. Pure.

Each span is judged by itself, so what is counted does not depend on which spans came together. Nothing is checked here: the
values go to the monitor as they are, which leaves out and counts what it cannot use, as with every other caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from apps.monitoring.spans import conventions, messages
from apps.monitoring.spans.conventions import Kind, Names
from apps.monitoring.spans.span import Attributes, Span

_NANOS_OF_MS: Final = 1_000_000
_MS: Final = 1_000
NO_COUNT: Final = "no_result_count"
"""Why a search is refused that does not say how many results it had."""
SEARCH: Final = "knowledge_search"
"""The operation that a search failed in."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """The kind, and the arguments of the method of the monitor that records it, all but the time."""

    kind: Kind
    values: Mapping[str, Any]


def meaning(span: Span, agents: Collection[str]) -> Meaning | None:
    """What the span counts as; None when it is nothing that counts. ``agents``: see `is_top`."""
    operation = span.attributes.get(conventions.OPERATION)
    kind = conventions.OPERATIONS.get(operation) if isinstance(operation, str) else None
    if kind is None:
        return None
    if operation == conventions.EXECUTE_TOOL and span.attributes.get(conventions.TOOL_TYPE) != conventions.DATA_SOURCE:
        return None
    if kind is Kind.CALL:
        return Meaning(kind, _call(span))
    if kind is Kind.SEARCH:
        return _search(span)
    return Meaning(kind, _interaction(span)) if is_top(span.attributes, agents) else None


def is_top(attributes: Attributes, agents: Collection[str]) -> bool:
    """Whether an agent talks to a customer, and is no part of another agent's work: by what its own span says.

    ``agents`` are the names of those that do; empty when they are not known.
    """
    inside = attributes.get(conventions.INSIDE)
    if inside is not None:
        return inside is False
    if agents:
        return any(attributes.get(name) in agents for name in conventions.AGENT if isinstance(attributes.get(name), str))
    return _first(attributes, conventions.PARENT) is None


def _call(span: Span) -> dict[str, Any]:
    found = _fields(span, Kind.CALL)
    to_first: Any = span.attributes.get(conventions.TO_FIRST_CHUNK)
    return {
        **found,
        # The two that every call has: without them it is one of an unnamed provider.
        "provider": found["provider"] or "",
        "model": found["model"] or "",
        "duration_ms": _duration(span),
        "token_usage": _tokens(span),
        "error": _error(span),
        "time_to_first_token_ms": to_first * _MS if type(to_first) in {int, float} else to_first,
    }


def _search(span: Span) -> Meaning:
    error = _error(span)
    if error is not None:
        return Meaning(Kind.ERROR, {"operation": SEARCH, "exception": error})
    found = _fields(span, Kind.SEARCH)
    documents = messages.listed(span.attributes.get(conventions.DOCUMENTS))
    if documents is not None:
        if found["result_count"] is None:
            found["result_count"] = len(documents)
        if found["similarity_scores"] is None:
            scores = [document.get("score") for document in documents if isinstance(document, dict)]
            found["similarity_scores"] = [score for score in scores if score is not None]
    if found["result_count"] is None:
        # Counted without it, the search would be a miss: the hit rate is hits over searches.
        return Meaning(Kind.REFUSAL, {"reason": NO_COUNT})
    return Meaning(Kind.SEARCH, {**found, "duration_ms": _duration(span)})


def _interaction(span: Span) -> dict[str, Any]:
    error = _error(span)
    found = _fields(span, Kind.INTERACTION)
    return {
        **found,
        "handoff_triggered": False if found["handoff_triggered"] is None else found["handoff_triggered"],
        "customer_message": messages.of_customer(span.attributes.get(conventions.INPUT)),
        # Whether it was answered must not depend on whether texts are captured.
        "agent_response": messages.of_agent(span.attributes.get(conventions.OUTPUT)) if error is None else None,
        "processing_time_ms": _duration(span),
        "token_usage": _tokens(span),
        "errors": [] if error is None else [{"operation": conventions.INVOKE_AGENT, "type": error}],
    }


def _fields(span: Span, kind: Kind) -> dict[str, Any]:
    return {argument: _first(span.attributes, names) for argument, names in conventions.FIELDS[kind].items()}


def _first(attributes: Attributes, names: Names) -> Any:
    return next((value for name in names if (value := attributes.get(name)) is not None), None)


def _tokens(span: Span) -> dict[str, Any] | None:
    found = {count: _first(span.attributes, names) for count, names in conventions.TOKENS.items()}
    return {count: value for count, value in found.items() if value is not None} or None


def _duration(span: Span) -> float | None:
    """Milliseconds; None when the start was not said."""
    return (span.end - span.start) / _NANOS_OF_MS if span.start else None


def _error(span: Span) -> Any:
    """What failed, as far as it is known; None when nothing did."""
    kind = span.attributes.get(conventions.ERROR_TYPE)
    if kind is not None:
        return kind
    return (span.message or "error") if span.is_error else None
