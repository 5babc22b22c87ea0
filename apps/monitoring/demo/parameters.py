"""How the demo agent behaves. The figures are fitted to recordings; each says to which, and how."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

TENANTS: Final = ("airline", "retail", "telecom")

CALL_LOG_MEAN: Final = 0.352
CALL_LOG_SIGMA: Final = 0.485
"""Natural logarithm of a model call's seconds. tau2-bench recordings, 1,302 calls of gpt-4.1: mean and standard
deviation of the logarithms."""

CALLS_PER_ANSWER: Final = (0.86, 0.12, 0.02)
"""Shares of answers with one, two and three model calls. tau2-bench recordings, gpt-4.1: 0.60, 0.25, 0.08 and a tail of
up to eight, where the slowest twentieth of the answers takes 5.4 to 5.9 s; fewer calls here, so that a healthy demo stays
under the default rule of 5 seconds."""

TURNS: Final = (3, 4, 5, 6, 7, 8, 9, 10, 12)
"""Turns of a conversation, equally likely. tau2-bench recordings, gpt-4.1: percentiles 10, 50, 90 are 4, 7, 12."""

PROMPT_LOG_MEAN: Final = 9.082
PROMPT_LOG_SIGMA: Final = 0.553
COMPLETION_LOG_MEAN: Final = 4.608
COMPLETION_LOG_SIGMA: Final = 0.579
"""Natural logarithms of the tokens of an answer. tau2-bench recordings, gpt-4.1."""

CONVERSATION_GAP_SHAPE: Final = 0.835
"""Shape of the gamma distribution of the gaps between new conversations: 1 / cv². Azure LLM inference trace 2023,
19,366 requests of one hour: the gaps' coefficient of variation is 1.094."""

CALL_FAILURE: Final = 0.0007
"""Share of model calls that fail. LLMPerf leaderboard, individual calls: 1 of 1,350, one provider that failed in 130 of
150 left out: that is an incident, not a normal day."""

TOOL_FAILURE: Final = 0.006
"""Share of answers during which a tool fails. tau2-bench recordings, gpt-4.1: 13 tool errors in 782 interactions are
0.017; scaled down to the cut number of calls."""

HANDOFF_SHARE: Final = 0.05
"""Share of conversations that end with a human. tau2-bench recordings, gpt-4.1 for the retailer: 2 of 40."""

THINK_SECONDS: Final = (8.0, 40.0)
"""What a customer takes between an answer and the next message. Not recorded (the recordings' customers are models):
an assumption."""


@dataclass(frozen=True, slots=True)
class Price:
    """US dollars for a million tokens, prompt and completion together."""

    per_million: float


PRICES: Final = MappingProxyType({"gpt-4.1": Price(0.704), "gpt-4o": Price(1.366), "claude-opus-4-6": Price(5.447)})
"""tau2-bench recordings: recorded cost over recorded tokens, caching included."""

NORMAL_MODEL: Final = "gpt-4.1"
DEAR_MODEL: Final = "claude-opus-4-6"
