"""Writing to a hot store and adding up what it holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from apps.monitoring.core.event import Event
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.flusher import Flusher
from apps.monitoring.ingest.hotstore import Held, HotStore
from tests.servers import plugin
from tests.unit.ingest.made import INTERACTION, NOW, flat

MINUTE = int(NOW // 60)
HOSTILE_EVENTS = 5_000 if plugin.servers.cluster else 50_000
"""Of a fuzz test: a cluster is asked for each shard by itself, and fewer are enough to see that it answers like one server."""


def interaction(number: int = 0, tenant: str = "acme", minute: int = MINUTE, **arguments: Any) -> Event:
    own = {**INTERACTION, "conversation_id": f"c-{number}", "processing_time_ms": 1_000 + number, **arguments}
    return flat("agent_interaction", tenant, minute * 60.0, None, own)


class Writer:
    """One process's way into a hot store."""

    def __init__(self, store: HotStore, max_pending: int = 250_000_000) -> None:
        self.buffer = Buffer(100)
        self.flusher = Flusher(self.buffer, store, max_pending)

    def put(self, *events: Event) -> None:
        self.buffer.merge(list(events))

    def send(self, *events: Event) -> bool:
        self.put(*events)
        return self.flusher.flush()


def everything(store: HotStore) -> list[Held]:
    return [held for shard in range(store.shards) for batch in store.backlog(shard) for held in store.read(shard, batch)]


def fields(held: Iterable[Held], tenant: str) -> Counter[str]:
    """What adds up, of one tenant, over all batches."""
    total: Counter[str] = Counter()
    for one in held:
        if one.tenant == tenant:
            total.update({name: value for name, value in one.fields.items() if not name.endswith((":<", ":>"))})
    return total


def interactions(store: HotStore, tenant: str = GLOBAL) -> int:
    return fields(everything(store), tenant)["i:n"]
