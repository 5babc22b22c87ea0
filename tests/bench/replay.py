"""How fast `replay --speed max` is: into the hot store, and where it rolls up as it goes."""

from __future__ import annotations

import io
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

INTERACTIONS = 60_000
MINUTES = 240
TENANTS = 20


def measure() -> list[dict[str, Any]]:
    """Of a recording of some hours: the interactions that stay in the hot store, and more, which are rolled up meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        return [_replayed(Path(folder) / "talk.jsonl", count) for count in (INTERACTIONS // 4, INTERACTIONS)]


def _replayed(file: Path, count: int) -> dict[str, Any]:
    from django.core.management import call_command

    file.write_text("".join(_line(number) for number in range(count)))
    said = io.StringIO()
    start = datetime.fromtimestamp(time.time() - 20 * 86_400, UTC).isoformat()
    call_command("replay", str(file), start=start, speed="max", json=True, stdout=said)
    told = json.loads(said.getvalue())
    assert told["interactions"] == count
    assert not told["lost"]
    return {
        "interactions": count,
        "seconds": told["seconds"],
        "interactions_per_second": told["interactions_per_second"],
        "rolled_up_meanwhile": _rolled_up(),
    }


def _rolled_up() -> int:
    from apps.monitoring.models import RollupBatch

    return RollupBatch.objects.count()


def _line(number: int) -> str:
    row = {
        "tenant": f"tenant-{number % TENANTS}",
        "conversation_id": f"c-{number % 9_000}",
        "offset_ms": number * 7 % (MINUTES * 60) * 1_000,
        "processing_time_ms": 500 + number % 4_000,
        "customer_message": "Where is my refund?",
        "agent_response": "It is on its way.",
        "model": f"model-{number % 3}",
        "provider": "provider",
        "prompt_tokens": 800 + number % 50,
        "completion_tokens": 96,
        "estimated_cost_usd": 0.0021,
        "intent": "refund",
        "llm_calls": [{"duration_ms": 400 + number % 900, "prompt_tokens": 800, "completion_tokens": 96, "cost_usd": 0.0021}],
    }
    return json.dumps(row) + "\n"
