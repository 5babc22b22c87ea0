"""An event on its way from the caller to the metrics and the log: one flat list.

It is made on the caller's thread, where a list costs a quarter of a mapping and takes a third of its memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain, islice
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Event = list[Any]
"""Type, tenant, when it was handed over (epoch seconds), the caller's own timestamp or None, what it belongs to (``trace_id``,
``span_id``, ``request_id``) or None; then a value for each of the `FIELDS` of its type, None when the caller did not say."""

TYPE: Final = 0
TENANT: Final = 1
HANDED_OVER: Final = 2
TIMESTAMP: Final = 3
BELONGS: Final = 4
HEAD: Final = 5
"""Where the values begin."""

FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "agent_interaction": (
            "conversation_id",
            "customer_message",
            "agent_response",
            "model_used",
            "confidence_score",
            "processing_time_ms",
            "token_usage",
            "estimated_cost",
            "pricing",
            "handoff_triggered",
            "handoff_reason",
            "intent",
            "errors",
        ),
        "llm_api_call": (
            "conversation_id",
            "provider",
            "model",
            "duration_ms",
            "token_usage",
            "time_to_first_token_ms",
            "cost",
            "pricing",
            "error",
            "cancelled",
        ),
        "context_building": ("conversation_id", "components", "duration_ms"),
        "handoff_decision": ("conversation_id", "decision", "confidence", "triggers", "reason"),
        "knowledge_search": ("conversation_id", "query", "result_count", "similarity_scores", "duration_ms"),
        "error": ("operation", "exception", "context"),
        "feedback": ("conversation_id", "score"),
        "user_metric": ("name", "kind", "value", "labels"),
        "refusal": ("reason",),
    }
)


class Failure(NamedTuple):
    """What is kept of an exception: itself it holds its frames, and they everything that was being worked on."""

    type: str
    message: str


_WITHOUT_END: Final = frozenset(
    {"customer_message", "agent_response", "query", "reason", "handoff_reason", "error", "exception"}
)
_SHORT: Final = frozenset(
    {
        "conversation_id", "model_used", "model", "provider", "intent", "operation", "name",
        "errors", "components", "triggers", "similarity_scores", "context", "labels",
    }
)  # fmt: skip
_DEPTH: Final = 2
"""Lists and mappings in each other that are looked at, as the errors of an interaction are."""
_ITEMS: Final = 50
"""Of one that stands in another one."""
_NO_TEXT_BYTES: Final = 32


def _places(names: frozenset[str]) -> Mapping[str, tuple[int, ...]]:
    return MappingProxyType(
        {kind: tuple(HEAD + at for at, field in enumerate(fields) if field in names) for kind, fields in FIELDS.items()}
    )


TEXTS: Final = _places(_WITHOUT_END)
"""Where the fields lie that may be long."""
_OTHERS: Final = _places(_SHORT)
"""Where names, lists and mappings lie: short as a rule, but nobody sees to it."""


def size(event: Event) -> int:
    """The bytes of the texts of an event, of its names, lists and mappings."""
    total = size_of_others(event)
    for place in TEXTS[event[TYPE]]:
        text = event[place]
        if type(text) is str:
            total += text.__sizeof__()
        elif type(text) is Failure:
            total += text.message.__sizeof__()
    return total


def size_of_others(event: Event) -> int:
    """The bytes of names, lists and mappings, as far as one can reckon: nothing of a foreign type is looked at."""
    total = 0
    for place in _OTHERS[event[TYPE]]:
        value = event[place]
        if type(value) is str:
            total += value.__sizeof__()
        elif value is not None:
            total += _size_of(value)
    return total


def _size_of(value: object, depth: int = 0) -> int:
    if type(value) is str:
        return value.__sizeof__()
    inner: Iterable[object] = ()
    if depth < _DEPTH:
        if type(value) is dict:
            inner = chain.from_iterable(value.copy().items())  # the caller may be changing it
        elif type(value) is list or type(value) is tuple:
            inner = value
    return _NO_TEXT_BYTES + sum(_size_of(one, depth + 1) for one in islice(inner, _ITEMS if depth else None))


def position(event_type: str, field: str) -> int:
    """Where a field of a type lies in the list."""
    return HEAD + FIELDS[event_type].index(field)
