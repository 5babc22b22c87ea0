"""Events as the recorder hands them over, and what their lines say."""

from __future__ import annotations

import json
from typing import Any

from apps.monitoring.core.event import Event
from apps.monitoring.logs.formats import FORMATS
from apps.monitoring.logs.line import Renderer
from apps.monitoring.logs.redaction import Redactor
from tests.unit.ingest.made import flat

WHEN = 1_767_605_400.123456

ARGUMENTS: dict[str, dict[str, Any]] = {
    "agent_interaction": {
        "conversation_id": "c-17",
        "customer_message": "My mail is mia@example.com",
        "agent_response": "Thank you.",
        "model_used": "gpt-4o",
        "confidence_score": 0.93,
        "processing_time_ms": 1234.5,
        "token_usage": {"prompt_tokens": 812, "completion_tokens": 96, "total_tokens": 908},
        "estimated_cost": 0.0021,
        "handoff_triggered": True,
        "handoff_reason": "asked for a human",
        "intent": "refund",
        "errors": [{"operation": "crm", "type": "TimeoutError"}],
    },
    "llm_api_call": {
        "conversation_id": "c-17",
        "provider": "openai",
        "model": "gpt-4o",
        "duration_ms": 800,
        "token_usage": {"prompt_tokens": 812, "completion_tokens": None},
        "cost": 0.002,
        "error": None,
    },
    "context_building": {"conversation_id": "c-17", "components": {"history": 4, "documents": 3}, "duration_ms": 12.5},
    "handoff_decision": {
        "conversation_id": "c-17",
        "decision": False,
        "confidence": 0.4,
        "triggers": ["anger", "repeated question"],
        "reason": "the customer wrote from mia@example.com",
    },
    "knowledge_search": {
        "conversation_id": "c-17",
        "query": "refund after 30 days",
        "result_count": 3,
        "similarity_scores": (0.91, 0.85, 0.4),
        "duration_ms": 20,
    },
    "error": {
        "operation": "context",
        "exception": ValueError("no user mia@example.com"),
        "context": {"attempt": 2, "user": "mia@example.com", "parts": ["a", {"b": None}]},
    },
}
CORRELATION = {"trace_id": 0x4BF92F3577B34DA6A3CE929D0E0E4736, "span_id": 0x00F067AA0BA902B7, "request_id": "r-1"}


def event(event_type: str = "agent_interaction", *, tenant: str = "acme", timestamp: object = None, **changed: Any) -> Event:
    belongs = {name: changed.pop(name) for name in CORRELATION if name in changed}
    return flat(event_type, tenant, WHEN, timestamp, {**ARGUMENTS[event_type], **changed}, belongs or None)


def rendered(event: Event, redactor: Redactor | None = None, form: str = "json") -> bytes:
    return Renderer(redactor or Redactor(), FORMATS[form])(event)


def line(event: Event, redactor: Redactor | None = None, form: str = "json") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(rendered(event, redactor, form))
    return found
