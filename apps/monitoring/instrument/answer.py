"""What a provider's answer says, read from the object that its own client library gives.

No client library is imported: an object is known by the attributes that the library documents, and a mapping (the JSON
of the answer) by its keys. Sources: OpenAI, `usage` of Chat Completions and of Responses
(https://platform.openai.com/docs/api-reference/chat/object, https://platform.openai.com/docs/api-reference/responses/object);
Anthropic, `usage` of Messages and of its stream events (https://docs.anthropic.com/en/api/messages).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import islice
from typing import Any, Final, cast

_log = logging.getLogger(__name__)

Usage = dict[str, int]
"""Token counts under the names that `AgentMonitor` takes: cached tokens are part of the prompt, reasoning of the completion."""

_PROMPT: Final = "prompt_tokens"
_COMPLETION: Final = "completion_tokens"
_CACHE_READ: Final = "cache_read_tokens"
_CACHE_WRITE: Final = "cache_write_tokens"
_REASONING: Final = "reasoning_tokens"
_TOTAL: Final = "total_tokens"
_MOST_CHOICES: Final = 128
"""Looked at of one chunk: an endless iterator must not hold the caller."""
UNREADABLE: Final = "unreadable"
"""In the place of the counts of an answer that raises when it is looked at."""


def usage(answer: Any) -> Usage:
    """The token counts of an answer; what it does not say is not there. Never raises.

    What cannot be read at all is given as a count that is refused where it is counted.
    """
    try:
        return read(answer)
    except Exception:
        _log.exception("an answer could not be read")
        return {_TOTAL: cast("int", UNREADABLE)}


def read(answer: Any) -> Usage:
    """The token counts of an answer or of one chunk of a stream. Raises whatever the object raises.

    A count of another type is given as it is: whoever counts it refuses it.
    """
    for holder in (answer, _get(answer, "response"), _get(answer, "message")):
        found = _get(holder, "usage")
        if found is not None:
            return _usage(found)
    return {}


def merged(known: Usage, more: Usage) -> Usage:
    """Counts of a stream so far: what comes later counts for all, as Anthropic's and OpenAI's last chunks do."""
    latest = {**known, **more}
    if _PROMPT in more and _CACHE_READ not in more and _CACHE_WRITE not in more:
        # Anthropic's first event says what was cached; a later one may repeat the rest of the prompt alone.
        cached = _sum(known.get(_CACHE_READ), known.get(_CACHE_WRITE))
        if cached and _is_count(more[_PROMPT]) and _is_count(known.get(_PROMPT)):
            latest[_PROMPT] = max(more[_PROMPT], known[_PROMPT])
    return latest


def _sum(*counts: Any) -> int:
    return sum(count for count in counts if _is_count(count))


def _is_count(value: Any) -> bool:
    return type(value) is int


def has_token(chunk: Any) -> bool:
    """Whether a chunk of a stream holds something of the answer, as far as its shape is known."""
    kind = _get(chunk, "type")
    if isinstance(kind, str):  # an event of OpenAI's Responses or of Anthropic's Messages
        return kind.endswith("delta") and kind != "message_delta"
    choices = _get(chunk, "choices")
    if choices is None:
        return True
    return any(_says_something(_get(choice, "delta")) for choice in islice(choices, _MOST_CHOICES))


def _says_something(delta: Any) -> bool:
    return any(_get(delta, name) for name in ("content", "tool_calls", "refusal", "function_call", "reasoning_content"))


def _usage(found: Any) -> Usage:
    if _get(found, "prompt_tokens") is not None or _get(found, "completion_tokens") is not None:
        return _known(
            {
                _PROMPT: _get(found, "prompt_tokens"),
                _COMPLETION: _get(found, "completion_tokens"),
                _TOTAL: _get(found, "total_tokens"),
                _CACHE_READ: _get(_get(found, "prompt_tokens_details"), "cached_tokens"),
                _REASONING: _get(_get(found, "completion_tokens_details"), "reasoning_tokens"),
            }
        )
    if _get(found, "input_tokens_details") is not None or _get(found, "total_tokens") is not None:
        return _known(
            {
                _PROMPT: _get(found, "input_tokens"),
                _COMPLETION: _get(found, "output_tokens"),
                _TOTAL: _get(found, "total_tokens"),
                _CACHE_READ: _get(_get(found, "input_tokens_details"), "cached_tokens"),
                _REASONING: _get(_get(found, "output_tokens_details"), "reasoning_tokens"),
            }
        )
    return _anthropic(found)


def _anthropic(found: Any) -> Usage:
    """Its ``input_tokens`` are what was neither read from nor written to the cache."""
    fresh = _get(found, "input_tokens")
    read, written = _get(found, "cache_read_input_tokens"), _get(found, "cache_creation_input_tokens")
    return _known(
        {
            _PROMPT: fresh + _sum(read, written) if _is_count(fresh) else fresh,
            _COMPLETION: _get(found, "output_tokens"),
            _CACHE_READ: read,
            _CACHE_WRITE: written,
        }
    )


def _known(counts: Mapping[str, Any]) -> Usage:
    """Without what is missing; a part of 0 says nothing that its whole does not."""
    wholes = (_PROMPT, _COMPLETION, _TOTAL)
    return {
        name: count for name, count in counts.items() if count is not None and (name in wholes or not _is_count(count) or count)
    }


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None)
