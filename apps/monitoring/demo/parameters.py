"""How the demo's customers and agent behave. Fitted to recordings; each figure says to which, and how (docs/demo.md).

"tau2-bench recordings" are the 100 conversations (782 interactions, 1,302 model calls) of the model gpt-4.1 in
sierra-research/tau2-bench; their customers are simulated by a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One tenant. Logarithms are natural."""

    turns: tuple[int, ...]
    """Messages of a conversation, equally likely: the 5th, 15th, … 95th percentile of the tau2-bench recordings."""
    call_log_mean: float
    call_log_sigma: float
    """Of a model call's seconds: mean and standard deviation of the logarithms, tau2-bench recordings."""
    further_call: float
    """Chance of one more model call for an answer, again and again: from the mean number of calls, tau2-bench recordings."""
    prompt_start: int
    prompt_per_turn: int
    prompt_log_sigma: float
    """Tokens of a prompt: a line over the turn by least squares, and the spread of what is left, tau2-bench recordings."""
    completion_log_mean: float
    completion_log_sigma: float
    """Of a model call's completion tokens: mean and standard deviation of the logarithms, tau2-bench recordings."""
    handoff_share: float
    """Share of conversations whose last message asks for a human. tau2-bench recordings: 3 of 20, 2 of 40, 25 of 40."""
    tool_failure: float
    """Share of answers during which a tool fails or a response is rejected. tau2-bench recordings: 3 of 116, 13 of 250,
    17 of 416."""


BEHAVIOURS: Final = MappingProxyType(
    {
        "airline": Behaviour(
            turns=(4, 5, 5, 5, 5, 5, 6, 6, 7, 9),
            call_log_mean=0.360,
            call_log_sigma=0.430,
            further_call=0.437,
            prompt_start=3_492,
            prompt_per_turn=369,
            prompt_log_sigma=0.218,
            completion_log_mean=4.092,
            completion_log_sigma=0.773,
            handoff_share=0.15,
            tool_failure=0.026,
        ),
        "retail": Behaviour(
            turns=(4, 4, 5, 5, 6, 6, 7, 7, 9, 10),
            call_log_mean=0.240,
            call_log_sigma=0.456,
            further_call=0.475,
            prompt_start=3_022,
            prompt_per_turn=527,
            prompt_log_sigma=0.175,
            completion_log_mean=3.897,
            completion_log_sigma=0.717,
            handoff_share=0.05,
            tool_failure=0.052,
        ),
        "telecom": Behaviour(
            turns=(5, 7, 9, 9, 10, 11, 11, 12, 14, 15),
            call_log_mean=0.436,
            call_log_sigma=0.506,
            further_call=0.329,
            prompt_start=6_416,
            prompt_per_turn=198,
            prompt_log_sigma=0.060,
            completion_log_mean=4.020,
            completion_log_sigma=0.777,
            handoff_share=0.625,
            tool_failure=0.041,
        ),
    }
)
"""By tenant."""

TENANTS: Final = tuple(BEHAVIOURS)

# As recorded, no day is a healthy one: telecom's handoff rate and the 95th percentile of all three would break the
# default rules for hours. The demo is calmer by these, so that an alert in it means an incident:

CALL_TIME_FACTOR: Final = 0.7
"""On the seconds of model calls."""

FURTHER_CALL_FACTOR: Final = 0.1
"""On the chance of a further model call."""

HANDOFF_CEILING: Final = 0.1
"""On the share of conversations that end with a human."""

TOOL_FAILURE_FACTOR: Final = 0.05
"""On the share of answers during which a tool fails."""

# The rest is the same for every tenant.

CONVERSATION_GAP_SHAPE: Final = 0.835
"""Shape of the gamma distribution of the gaps between new conversations: 1 / cv². Azure LLM inference trace 2023,
19,366 requests of one hour: the gaps' coefficient of variation is 1.094."""

CALL_FAILURE: Final = 0.0007
"""Share of model calls that fail. LLMPerf leaderboard, individual calls: 1 of 1,350, one provider that refused 130 of
150 left out: that is an incident, not a normal day, and `provider-errors` takes after it."""

PRICES: Final = MappingProxyType({"gpt-4.1": 0.704, "claude-opus-4-6": 5.447})
"""US dollars for a million tokens, prompt and completion together. tau2-bench recordings: recorded cost over recorded
tokens, so the discount for cached prompts is in it."""

PROVIDERS: Final = MappingProxyType({"gpt-4.1": "openai", "claude-opus-4-6": "anthropic"})
NORMAL_MODEL: Final = "gpt-4.1"
DEAR_MODEL: Final = "claude-opus-4-6"

# From here on nothing was recorded: assumptions.

THINK_SECONDS: Final = (8.0, 40.0)
"""Between an answer and the customer's next message, evenly; the recordings' customers are models and type at once."""

ODD_SHARE: Final = 0.05
"""Share of messages that no help document answers."""

NEW_SUBJECT: Final = 0.4
"""Share of a conversation's further messages that are about another intent."""

STARS_SHARE: Final = 0.3
"""Share of ended conversations that are rated."""

SURVEY_FAILURE: Final = 0.01
"""Share of the invitations to rate that cannot be sent."""

REFUSAL_SECONDS: Final = (0.1, 0.6)
"""How long a provider takes to refuse a call."""

TIMEOUT_SECONDS: Final = 30.0
"""The agent waits no longer for a model call."""
