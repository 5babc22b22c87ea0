"""The rows of a recording, reduced to what counts."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

MINUTE_MS = 60_000


@dataclass(frozen=True)
class Interaction:
    """One line. ``ended_ms`` is when it counts; what the line does not say is None, never 0."""

    tenant: str
    conversation: str
    model: str | None
    ended_ms: float
    answered: bool
    response_ms: float | None
    failed: bool
    handoff: bool
    prompt_tokens: int | None
    completion_tokens: int | None
    cost: Decimal | None
    results_of_searches: tuple[int, ...]

    @property
    def minute(self) -> int:
        return int(self.ended_ms // MINUTE_MS)

    @property
    def thread(self) -> tuple[str, str]:
        """A conversation belongs to its tenant: the same id of two tenants is two conversations."""
        return self.tenant, self.conversation


def read(path: Path) -> list[Interaction]:
    """Every line of a recording, gzipped or not."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [interaction(json.loads(line)) for line in file]


def interaction(row: dict[str, Any]) -> Interaction:
    answered = bool(row.get("completed", True))
    took, cost = row.get("processing_time_ms"), row.get("estimated_cost_usd")
    return Interaction(
        tenant=row["tenant"],
        conversation=row["conversation_id"],
        model=row.get("model"),
        ended_ms=row["offset_ms"] + (took or 0),
        answered=answered,
        response_ms=took if answered else None,
        failed=not answered or bool(row.get("errors")),
        handoff=bool(row.get("handoff_triggered")),
        prompt_tokens=row.get("prompt_tokens"),
        completion_tokens=row.get("completion_tokens"),
        cost=None if cost is None else Decimal(str(cost)),
        results_of_searches=tuple(search["result_count"] for search in row.get("knowledge_searches") or ()),
    )


def by_tenant(rows: Iterable[Interaction]) -> dict[str, list[Interaction]]:
    found: dict[str, list[Interaction]] = {}
    for row in rows:
        found.setdefault(row.tenant, []).append(row)
    return found
