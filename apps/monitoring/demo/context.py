"""Builds what the model gets to see."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from apps.monitoring.demo.knowledge import Hit


@dataclass(frozen=True, slots=True)
class Context:
    """What went in, and how long it took."""

    components: dict[str, int]
    duration_ms: float


class ContextBuilder:
    """Collects history, documents and the customer's data."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def build(self, turn: int, hits: Sequence[Hit]) -> Context:
        """The context of one turn."""
        components = {"history": 2 * turn, "documents": len(hits), "profile": 1}
        return Context(components, self._chance.uniform(2, 12) + 1.5 * sum(components.values()))
