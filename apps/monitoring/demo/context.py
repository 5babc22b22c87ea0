"""Builds what the language model gets to see."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from apps.monitoring.demo.clock import Steps
from apps.monitoring.demo.knowledge import Hit
from apps.monitoring.demo.parameters import Behaviour


@dataclass(frozen=True, slots=True)
class Context:
    """How many parts of each kind went in, and how many tokens it has."""

    components: dict[str, int]
    tokens: int


class ContextBuilder:
    """Collects the talk so far, the documents found and the customer's profile."""

    def __init__(self, behaviour: Behaviour, chance: random.Random) -> None:
        self._behaviour = behaviour
        self._chance = chance

    def build(self, turn: int, hits: Sequence[Hit]) -> Steps[Context]:
        """The context of a conversation's turn, counted from 1."""
        components = {"history": 2 * (turn - 1), "documents": len(hits), "profile": 1}
        yield (self._chance.uniform(2, 12) + 1.5 * sum(components.values())) / 1_000
        spread = math.exp(self._chance.gauss(0, self._behaviour.prompt_log_sigma))
        return Context(components, round((self._behaviour.prompt_start + self._behaviour.prompt_per_turn * turn) * spread))
