"""Who asks: a conversation of several turns, its intent, its patience."""

from __future__ import annotations

import random
from dataclasses import dataclass

from apps.monitoring.demo import documents, parameters


@dataclass(slots=True)
class Conversation:
    """One customer's talk with the agent of one tenant."""

    id: str
    tenant: str
    intent: str
    question: str
    turns: int
    wants_human: float
    turn: int = 0
    handed_over: bool = False


class Customers:
    """Draws conversations; the same seed draws the same ones."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def arrive(self, tenant: str) -> Conversation:
        """A new customer of a tenant."""
        intent, wording = self._chance.choice(documents.QUESTIONS[tenant])
        number = self._chance.randrange(10**6)
        question = wording.format(mail=f"customer{number}@example.com", phone=f"+1 202 555 {number % 10_000:04d}")
        if self._chance.random() < 0.06:  # noqa: PLR2004 - one question in sixteen is beyond the documents
            intent, question = "other", documents.ODD_QUESTION
        return Conversation(
            id=f"{self._chance.getrandbits(64):016x}",
            tenant=tenant,
            intent=intent,
            question=question,
            turns=self._chance.choice(parameters.TURNS),
            wants_human=self._chance.random(),
        )

    def thinks(self) -> float:
        """Seconds until the next message."""
        return self._chance.uniform(*parameters.THINK_SECONDS)

    def satisfaction(self, conversation: Conversation) -> float:
        """Stars, 1 to 5."""
        return float(self._chance.choice((1, 2, 3) if conversation.handed_over else (3, 4, 5, 5)))
