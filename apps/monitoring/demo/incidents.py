"""What can go wrong, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Incident:
    """How the agent differs while it lasts, and whom and how long it befalls unless one says otherwise."""

    name: str
    meaning: str
    rule: str
    """The default rule that notices."""
    tenant: str = "airline"
    after_seconds: float = 0.0
    minutes: float = 4.0
    slower: float = 1.0
    """Factor on the duration of model calls."""
    call_failure: float = 0.0
    """Share of model calls that fail."""
    handoff_share: float = 0.0
    """Share of customers who want a human at once."""
    knowledge_empty: bool = False
    tokens: float = 1.0
    """Factor on the tokens of prompts."""
    dear_model: bool = False


CALM: Final = Incident("none", "A normal day.", "")
"""No incident."""

_ALL: Final = (
    Incident("slow-provider", "The language model takes eight times as long.", "response-time-p95", slower=8.0),
    Incident("provider-errors", "Six in ten calls of the language model fail.", "error-rate-5m", call_failure=0.6),
    Incident("handoff-storm", "Nine in ten customers want a human at once.", "handoff-rate-very-high", handoff_share=0.9),
    Incident("empty-knowledge-base", "The knowledge base lost its documents.", "knowledge-hit-rate-low", knowledge_empty=True),
    Incident(
        "cost-spike",
        "A dear model, and prompts six times as long.",
        "cost-per-conversation-very-high",
        tokens=6.0,
        dear_model=True,
    ),
)

INCIDENTS: Final[Mapping[str, Incident]] = MappingProxyType({incident.name: incident for incident in _ALL})
"""By name."""


@dataclass(frozen=True, slots=True)
class Outbreak:
    """An incident that befalls one tenant from ``begins`` to ``ends`` (epoch seconds, the end not included)."""

    incident: Incident
    tenant: str
    begins: float
    ends: float

    def at(self, tenant: str, moment: float) -> Incident:
        """What a tenant suffers from at a moment."""
        return self.incident if tenant == self.tenant and self.begins <= moment < self.ends else CALM
