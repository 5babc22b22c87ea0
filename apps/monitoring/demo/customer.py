"""Who asks: conversations of several messages, what they are about, how they end."""

from __future__ import annotations

import random
from dataclasses import dataclass

from apps.monitoring.demo import parameters
from apps.monitoring.demo.incidents import Incident
from apps.monitoring.demo.questions import ODD, QUESTIONS


@dataclass(slots=True)
class Conversation:
    """One customer's talk with the agent of one tenant."""

    id: str
    tenant: str
    intent: str
    turns: int
    """How many messages it has, unless it ends with a human before."""
    patience: float
    """0 to 1, evenly: who is below the share of those who want a human wants one."""
    turn: int = 0
    """Messages so far."""
    handed_over: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a customer."""

    conversation_id: str
    turn: int
    text: str
    intent: str
    wants_human: bool


class Customers:
    """Draws what customers do; the same source of chance draws the same."""

    def __init__(self, chance: random.Random, series: str) -> None:
        self._chance = chance
        self._series = series
        self._number = 0

    def arrive(self, tenant: str) -> Conversation:
        """A new customer of a tenant."""
        self._number += 1
        return Conversation(
            id=f"{tenant}-{self._series}-{self._number}",
            tenant=tenant,
            intent=self._intent(tenant),
            turns=self._chance.choice(parameters.BEHAVIOURS[tenant].turns),
            patience=self._chance.random(),
        )

    def underway(self, tenant: str) -> Conversation:
        """A customer who is in the middle of a talk: long talks are met more often than short ones."""
        conversation = self.arrive(tenant)
        turns = parameters.BEHAVIOURS[tenant].turns
        (conversation.turns,) = self._chance.choices(turns, turns)
        conversation.turn = self._chance.randrange(conversation.turns)
        return conversation

    def ask(self, conversation: Conversation, incident: Incident) -> Message:
        """The next message; with it the conversation is handed over when the customer wants a human."""
        conversation.turn += 1
        if conversation.turn > 1 and self._chance.random() < parameters.NEW_SUBJECT:
            conversation.intent = self._intent(conversation.tenant)
        odd = self._chance.random() < parameters.ODD_SHARE
        wording = self._chance.choice(ODD if odd else QUESTIONS[conversation.tenant][conversation.intent])
        return Message(
            conversation_id=conversation.id,
            turn=conversation.turn,
            text=self._filled(wording),
            intent="other" if odd else conversation.intent,
            wants_human=self._wants_human(conversation, incident),
        )

    def think(self) -> float:
        """Seconds until the next message."""
        return self._chance.uniform(*parameters.THINK_SECONDS)

    def stars(self, conversation: Conversation) -> float | None:
        """1 to 5, or None from who does not rate."""
        if self._chance.random() >= parameters.STARS_SHARE:
            return None
        return float(self._chance.choice((1, 2, 3) if conversation.handed_over else (3, 4, 5, 5)))

    def _intent(self, tenant: str) -> str:
        return self._chance.choice(tuple(QUESTIONS[tenant]))

    def _filled(self, wording: str) -> str:
        number = self._chance.randrange(10**6)
        return wording.format(
            mail=f"customer{number}@example.com", phone=f"+1 202 555 {number % 10_000:04d}", order=f"A{number:06d}"
        )

    @staticmethod
    def _wants_human(conversation: Conversation, incident: Incident) -> bool:
        last = conversation.turn == conversation.turns
        recorded = parameters.BEHAVIOURS[conversation.tenant].handoff_share if last else 0.0
        return conversation.patience < max(min(recorded, parameters.HANDOFF_CEILING), incident.handoff_share)
