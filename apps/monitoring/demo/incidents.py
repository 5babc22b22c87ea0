"""What can go wrong, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Incident:
    """How the agent differs while it lasts. ``rule`` is the default rule that notices."""

    name: str
    meaning: str
    rule: str
    slower: float = 1.0
    call_failure: float = 0.0
    handoff_share: float = 0.0
    knowledge_empty: bool = False
    tokens: float = 1.0
    dear_model: bool = False


_ALL: Final = (
    Incident("slow-provider", "The language model takes eight times as long.", "response-time-p95", slower=8.0),
    Incident("provider-errors", "Six in ten calls of the language model fail.", "error-rate-5m", call_failure=0.6),
    Incident("handoff-storm", "Seven in ten customers ask for a human.", "handoff-rate-very-high", handoff_share=0.7),
    Incident("empty-knowledge-base", "The knowledge base lost its documents.", "knowledge-hit-rate-low", knowledge_empty=True),
    Incident("cost-spike", "A dear model and long prompts.", "cost-per-conversation-very-high", tokens=6.0, dear_model=True),
)

INCIDENTS: Final[Mapping[str, Incident]] = MappingProxyType({incident.name: incident for incident in _ALL})
CALM: Final = Incident("none", "A normal day.", "")
"""No incident."""
