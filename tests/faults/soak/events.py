"""Made events of a few tenants: most of the last minutes, some hours and days late, from a clock that is wrong."""

from __future__ import annotations

import random
from typing import Any

from apps.monitoring import get_agent_monitor
from apps.monitoring.catalogue import Kind
from apps.monitoring.ingest.recorder import recorder

Event = dict[str, Any]
"""`method` of the monitor, `tenant`, `timestamp` (epoch seconds) and `arguments`; all of it plain JSON."""

TENANTS = tuple(f"tenant-{number}" for number in range(6))
CROWDED = TENANTS[0]
"""The tenant of so many conversations that no sketch of its days is exact."""
_MODELS = ("model-a", "model-b", "model-c")
_PROVIDERS = ("provider-a", "provider-b")
_OPERATIONS = ("crm", "search", "billing")
_LATE = (2 * 60, 11 * 60, 3 * 3_600, 26 * 3_600, 5 * 86_400)
"""Seconds. Few, so that many batches meet in one minute."""


def made(chance: random.Random, now: float) -> Event:
    """One event, at a time that its writer believes to be now, or that is late."""
    when = now - chance.choice(_LATE) if chance.random() < 0.4 else now - chance.uniform(0, 240)
    method, arguments = chance.choices(
        [_interaction, _llm_call, _search, _context_build, _feedback, _error, _handoff_decision, _count, _sample],
        [10, 3, 3, 1, 1, 1, 1, 1, 1],
    )[0](chance)
    tenant = chance.choice(TENANTS)
    if method == "log_and_record_interaction" and chance.random() < 0.4:
        tenant = CROWDED
        arguments["conversation_id"] = f"c-{chance.randrange(10**6)}"
    return {"method": method, "tenant": tenant, "timestamp": when, "arguments": arguments}


def record(event: Event) -> None:
    """Hand an event to the monitor of its tenant, as an agent does."""
    if event["method"] in _OWN:  # they take no timestamp: what `AgentMonitor.count` and `.sample` put, at the time of the event
        told = event["arguments"]
        kind, moment, labels = _OWN[event["method"]], event["timestamp"], told["labels"]
        recorder().put(["user_metric", event["tenant"], moment, None, None, told["name"], kind, told["value"], labels])
        return
    method = getattr(get_agent_monitor(event["tenant"]), event["method"])
    method(**event["arguments"], timestamp=event["timestamp"])


def _interaction(chance: random.Random) -> tuple[str, Event]:
    return "log_and_record_interaction", {
        "conversation_id": f"c-{chance.randrange(300)}",
        "agent_response": None if chance.random() < 0.1 else "yes",
        "model_used": chance.choice(_MODELS),
        "confidence_score": chance.randrange(101) / 100,
        "processing_time_ms": chance.choice([None, round(chance.lognormvariate(7, 1))]),
        "token_usage": _tokens(chance),
        "estimated_cost": _dollars(chance),
        "handoff_triggered": chance.random() < 0.2,
        "handoff_reason": chance.choice(["asked", "stuck"]),
        "intent": chance.choice([None, "refund", "delivery"]),
        "errors": [{"operation": chance.choice(_OPERATIONS)} for _ in range(chance.choice([0, 0, 0, 1, 2]))],
    }


def _llm_call(chance: random.Random) -> tuple[str, Event]:
    return "log_and_record_llm_call", {
        "provider": chance.choice(_PROVIDERS),
        "model": chance.choice(_MODELS),
        "duration_ms": chance.randrange(5_000),
        "token_usage": _tokens(chance) or {},
        "cost": _dollars(chance),
        "error": chance.choice([None, None, "timeout"]),
    }


def _search(chance: random.Random) -> tuple[str, Event]:
    found = chance.randrange(4)
    return "log_and_record_knowledge_search", {
        "result_count": found,
        "similarity_scores": [chance.randrange(-100, 101) / 100 for _ in range(found)],
        "duration_ms": chance.randrange(200),
    }


def _context_build(chance: random.Random) -> tuple[str, Event]:
    return "log_and_record_context_build", {"components": {"history": chance.randrange(9)}, "duration_ms": chance.randrange(50)}


def _feedback(chance: random.Random) -> tuple[str, Event]:
    return "record_feedback", {"score": chance.randrange(1, 6)}


def _error(chance: random.Random) -> tuple[str, Event]:
    return "log_and_record_error", {"operation": chance.choice(_OPERATIONS)}


def _handoff_decision(chance: random.Random) -> tuple[str, Event]:
    return "log_and_record_handoff_decision", {"decision": chance.random() < 0.3, "confidence": chance.randrange(101) / 100}


def _count(chance: random.Random) -> tuple[str, Event]:
    return "count", {"name": "tickets", "value": chance.randrange(1, 5), "labels": {"queue": chance.choice(["a", "b"])}}


def _sample(chance: random.Random) -> tuple[str, Event]:
    return "sample", {"name": "basket", "value": chance.randrange(100_000) / 100, "labels": {}}


_OWN = {"count": Kind.COUNTER, "sample": Kind.HISTOGRAM}


def _tokens(chance: random.Random) -> Event | None:
    if chance.random() < 0.2:
        return None
    return {"prompt_tokens": chance.randrange(1, 2_000), "completion_tokens": chance.randrange(1, 300)}


def _dollars(chance: random.Random) -> float | None:
    """Whole micro-dollars."""
    return None if chance.random() < 0.2 else chance.randrange(100_000) / 1_000_000
