"""Which attribute of a span is what: the semantic conventions of OpenTelemetry for generative AI, and attributes of our own.

Names stand in the order in which they are looked for, the current one first, then those of older versions and of proposals
(https://github.com/open-telemetry/semantic-conventions-genai, docs/gen-ai; docs/opentelemetry.md has the same as a table).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

Names = tuple[str, ...]


class Kind(StrEnum):
    """What a span is recorded as."""

    CALL = "llm_call"
    SEARCH = "knowledge_search"
    INTERACTION = "interaction"
    ERROR = "error"
    REFUSAL = "refusal"


OPERATION: Final = "gen_ai.operation.name"
EXECUTE_TOOL: Final = "execute_tool"
INVOKE_AGENT: Final = "invoke_agent"
OPERATIONS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "chat": Kind.CALL,
        "generate_content": Kind.CALL,
        "text_completion": Kind.CALL,
        "embeddings": Kind.CALL,
        "retrieval": Kind.SEARCH,
        EXECUTE_TOOL: Kind.SEARCH,
        INVOKE_AGENT: Kind.INTERACTION,
    }
)
"""Other operations are nothing that is counted."""

TOOL_TYPE: Final = "gen_ai.tool.type"
DATA_SOURCE: Final = "datastore"
"""The type of a tool that searches; a tool of another type is none."""
AGENT: Final[Names] = ("gen_ai.agent.name", "gen_ai.agent.id")
INSIDE: Final = "agent_monitor.sub_agent"
PARENT: Final[Names] = ("gen_ai.agent.parent.id", "gen_ai.agent.parent_id")
"""Of a proposal: whoever has one is inside another agent."""

ERROR_TYPE: Final = "error.type"
TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
"""In seconds."""
DOCUMENTS: Final = "gen_ai.retrieval.documents"
INPUT: Final = "gen_ai.input.messages"
OUTPUT: Final = "gen_ai.output.messages"

_CONVERSATION: Final[Names] = ("gen_ai.conversation.id",)
_MODEL: Final[Names] = ("gen_ai.response.model", "gen_ai.request.model")
_COST: Final[Names] = ("agent_monitor.estimated_cost_usd",)
_CALL: Final[Mapping[str, Names]] = {
    "provider": ("gen_ai.provider.name", "gen_ai.system"),
    "model": _MODEL,
    "conversation_id": _CONVERSATION,
    "cost": _COST,
}
_SEARCH: Final[Mapping[str, Names]] = {
    "query": ("gen_ai.retrieval.query.text",),
    "conversation_id": _CONVERSATION,
    "result_count": ("agent_monitor.result_count",),
    "similarity_scores": ("agent_monitor.similarity_scores",),
}
_INTERACTION: Final[Mapping[str, Names]] = {
    "conversation_id": _CONVERSATION,
    "model_used": _MODEL,
    "estimated_cost": _COST,
    "handoff_triggered": ("agent_monitor.handoff_triggered",),
    "handoff_reason": ("agent_monitor.handoff_reason",),
    "intent": ("agent_monitor.intent",),
    "confidence_score": ("agent_monitor.confidence_score",),
}
FIELDS: Final[Mapping[Kind, Mapping[str, Names]]] = MappingProxyType(
    {Kind.CALL: _CALL, Kind.SEARCH: _SEARCH, Kind.INTERACTION: _INTERACTION}
)
"""By the argument of the monitor's method. What is computed of several attributes is not here, but in `meaning`."""
TOKENS: Final[Mapping[str, Names]] = MappingProxyType(
    {
        "prompt_tokens": ("gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"),
        "completion_tokens": ("gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"),
        "cache_read_tokens": ("gen_ai.usage.cache_read.input_tokens",),
        "cache_write_tokens": ("gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation.input_tokens"),
        "reasoning_tokens": ("gen_ai.usage.reasoning.output_tokens",),
    }
)
"""Cached tokens are part of the input and reasoning tokens of the output, as in `core.tokens`."""

READ: Final = frozenset(
    {OPERATION, TOOL_TYPE, *AGENT, INSIDE, *PARENT, ERROR_TYPE, TO_FIRST_CHUNK, DOCUMENTS, INPUT, OUTPUT}
    | {name for fields in (TOKENS, *FIELDS.values()) for names in fields.values() for name in names}
)
"""Every attribute that says something here: no other one is kept."""
