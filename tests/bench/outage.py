"""What an hour without the hot store costs a busy process: memory, and what is still there when it is back.

1,000 interactions a second over 1,000 tenants, 3.6 million in all; the clock runs as fast as they are merged.
"""

from __future__ import annotations

import gc
import random
import time
from pathlib import Path
from typing import Any

from apps.monitoring.conf import conf
from apps.monitoring.core.event import Event
from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.flusher import Flusher
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import server
from tests.unit.ingest.made import INTERACTION, flat

TENANTS = 1_000
MINUTES = 60
A_MINUTE = 60_000
SECONDS_A_FLUSH = 10
MODELS = ("gpt-4o", "gpt-4o-mini", "claude-sonnet-4-5", "claude-haiku-4-5")
INTENTS = tuple(f"intent-{number}" for number in range(12))
REASONS = ("low_confidence", "customer_request", "policy", "frustration")


def interaction(chance: random.Random, when: float) -> Event:
    """One of a site's interactions: a tenant in a thousand, times spread as of real agents."""
    handed_over = chance.random() < 0.08
    prompt, completion = chance.randrange(200, 6_000), chance.randrange(20, 900)
    own = {
        **INTERACTION,
        "conversation_id": f"c-{chance.randrange(200_000)}",
        "model_used": chance.choice(MODELS),
        "intent": chance.choice(INTENTS),
        "processing_time_ms": chance.lognormvariate(7.5, 0.6),
        "confidence_score": chance.betavariate(8, 2),
        "token_usage": {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion},
        "estimated_cost": prompt * 2.5e-6 + completion * 1e-5,
        "handoff_triggered": handed_over,
        "handoff_reason": chance.choice(REASONS) if handed_over else None,
    }
    return flat("agent_interaction", f"tenant-{chance.randrange(TENANTS)}", when, None, own)


def resident() -> float:
    """Megabytes of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4_096 / 1e6


def hour(max_pending: int, minutes: int = MINUTES, a_minute: int = A_MINUTE) -> dict[str, Any]:
    """Record so many minutes while nobody listens at the hot store's address."""
    chance = random.Random(7)
    buffer = Buffer(conf().label_cap)
    flusher = Flusher(buffer, HotStore(server("redis://127.0.0.1:1/0"), "bench", shards=8), max_pending)
    first = int(time.time() // 60) - minutes
    before = peak = resident()
    at_once = a_minute * SECONDS_A_FLUSH // 60
    for minute in range(first, first + minutes):
        for _ in range(60 // SECONDS_A_FLUSH):
            buffer.merge([interaction(chance, minute * 60.0) for _ in range(at_once)])
            flusher.flush()
        peak = max(peak, resident())
    return {
        "what": f"{minutes} min, {minutes * a_minute:,} interactions, {TENANTS:,} tenants",
        "memory_mb": round(peak - before),
        "reckoned_mb": round(flusher.pending_bytes() / 1e6),
        "bound_mb": round(max_pending / 1e6),
        "minutes_dropped": flusher.counters["minutes_dropped"],
    }


def measure() -> list[dict[str, Any]]:
    """With the bound of the settings, and with one a quarter as large."""
    return [hour(conf().max_pending_bytes), hour(conf().max_pending_bytes // 4)]
