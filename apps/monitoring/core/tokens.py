"""Token counts of a call as disjoint kinds, whatever the provider's way of counting.

The accepted counts follow OpenAI's: cached tokens are part of the prompt, reasoning tokens part of the completion
(https://platform.openai.com/docs/api-reference/chat/object, `usage`). Each token is then of exactly one kind, so kinds
add up, and each has its own price.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

INPUT: Final = "input"
"""Of the prompt, neither read from nor written to a cache."""
CACHE_READ: Final = "cache_read"
CACHE_WRITE: Final = "cache_write"
OUTPUT: Final = "output"
"""Of the completion, without reasoning."""
REASONING: Final = "reasoning"
UNATTRIBUTED: Final = "unattributed"
"""What a given total has beyond the parts that were given."""

PROMPT_KINDS: Final = (INPUT, CACHE_READ, CACHE_WRITE)
COMPLETION_KINDS: Final = (OUTPUT, REASONING)
KINDS: Final = (*PROMPT_KINDS, *COMPLETION_KINDS, UNATTRIBUTED)

GIVEN: Final = (
    "prompt_tokens",
    "completion_tokens",
    "total_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
)
"""The counts that a caller may give."""


Counts = Mapping[str, int]
"""By kind; a kind that nobody said anything about is not there."""


def is_complete(counts: Counts) -> bool:
    """Whether prompt and completion are known: what can be priced."""
    return INPUT in counts and OUTPUT in counts and UNATTRIBUTED not in counts


def disjoint(given: Mapping[str, int]) -> tuple[Counts, int]:
    """Counts by kind, from those of `GIVEN` that are known, none of them negative; and how many had to be left out.

    A part larger than its whole contradicts it and is left out; so is a total smaller than its parts.
    """
    by_kind: dict[str, int] = {}
    left_out = 0
    for whole, rest, parts in (
        ("prompt_tokens", INPUT, ((CACHE_READ, "cache_read_tokens"), (CACHE_WRITE, "cache_write_tokens"))),
        ("completion_tokens", OUTPUT, ((REASONING, "reasoning_tokens"),)),
    ):
        own = {kind: given[name] for kind, name in parts if name in given}
        if whole in given:
            if sum(own.values()) > given[whole]:
                left_out += len(own)
                own = {}
            own[rest] = given[whole] - sum(own.values())
        by_kind |= own
    total = given.get("total_tokens")
    if total is not None:
        beyond = total - sum(by_kind.values())
        if beyond < 0:
            left_out += 1
        elif beyond or not by_kind:
            by_kind[UNATTRIBUTED] = beyond
    return by_kind, left_out
