"""A recording that is made up, for what the recorded ones lack: searches, reminders, tenants that fire together."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MINUTES = 70
_TENANTS = ("alder", "birch", "cedar", "dogwood")
_SPARSE = "dogwood"
"""Two interactions a minute: a window of five minutes has just as many samples as it needs."""
_SLOW = {"alder": range(5, 45), "birch": range(5, 9), "cedar": (*range(20, 24), *range(27, 33)), "dogwood": range(10, 30)}
_EMPTY_HANDED = {"alder": range(10, 50), "birch": range(30, 36), "cedar": range(30, 33), "dogwood": range(40, 55)}
_DEAR = {"alder": range(40, 46), "birch": range(0), "cedar": range(40, 60), "dogwood": range(0)}
_WITHOUT_PRICE = {"cedar": range(60, MINUTES)}
_FAILING = {"alder": range(12, 14), "birch": (*range(50, 53), *range(59, 62)), "cedar": range(50, 54), "dogwood": range(60, 62)}
_CALLING_FOR_A_HUMAN = {"alder": range(60, 66), "birch": range(20, 40), "cedar": range(0), "dogwood": range(0)}


def write(path: Path) -> Path:
    """The same recording each time."""
    path.write_text("".join(json.dumps(row) + "\n" for row in _rows(random.Random(20260105))))
    return path


def _rows(chance: random.Random) -> Iterator[dict[str, Any]]:
    for minute in range(MINUTES):
        for tenant in _TENANTS:
            for turn in range(2 if tenant == _SPARSE else chance.randint(1, 9)):
                yield _row(chance, tenant, minute, turn)


def _row(chance: random.Random, tenant: str, minute: int, turn: int) -> dict[str, Any]:
    """Conversations have the same ids everywhere; half of birch has no price, and some lines say hardly anything."""
    took = chance.uniform(12_000, 30_000) if minute in _SLOW[tenant] else chance.uniform(200, 3_000)
    row: dict[str, Any] = {
        "conversation_id": f"c-{chance.randint(max(0, minute - 3), minute)}-{turn % 4}",
        "tenant": tenant,
        "model": "model-a",
        "provider": "provider-a",
        "offset_ms": round(minute * 60_000 + chance.uniform(0, 59_000), 3),
        "customer_message": "Where is my order?",
        "completed": True,
    }
    if chance.random() < (0.5 if minute in _FAILING[tenant] else 0.005):
        return {**row, "completed": False} if turn % 2 else {**row, "errors": [{"kind": "tool_error"}], "agent_response": "…"}
    if (tenant != "birch" or turn % 2) and minute not in _WITHOUT_PRICE.get(tenant, ()):
        row["estimated_cost_usd"] = round(chance.uniform(0.2, 1.0) if minute in _DEAR[tenant] else 0.001, 6)
    if turn % 5 != 4:  # one in five says nothing about its time
        row["processing_time_ms"] = round(took, 3)
    found = 0 if minute in _EMPTY_HANDED[tenant] and chance.random() < 0.8 else chance.randint(1, 5)
    return {
        **row,
        "agent_response": "It is on its way.",
        "prompt_tokens": chance.randint(100, 900),
        "completion_tokens": chance.randint(10, 90),
        "handoff_triggered": minute in _CALLING_FOR_A_HUMAN[tenant] and chance.random() < 0.6,
        "knowledge_searches": [{"query": "order", "result_count": found, "similarity_scores": [], "duration_ms": 20.5}],
    }
