"""Finding and replacing in time proportional to the text's length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import AnyStr


def has_any(text: AnyStr, words: Iterable[AnyStr]) -> bool:
    """Whether one of the words is in the text: several times faster than a pattern of alternatives."""
    for word in words:  # noqa: SIM110 - a generator costs twice as much, and this is asked of every line
        if word in text:
            return True
    return False


def replace(pattern: re.Pattern[str], text: str, accepted: Callable[[str], int], replacement: str) -> str:
    """Replace candidates that are confirmed.

    ``accepted`` says how many characters of a candidate are meant, 0 for none. After a candidate that is refused the
    search goes on one character later, because a true one may begin inside it; a pattern of bounded length therefore
    costs a time proportional to the text's length.
    """
    parts: list[str] = []
    kept_until = search_from = 0
    while (found := pattern.search(text, search_from)) is not None:
        length = accepted(found[0])
        if not length:
            search_from = found.start() + 1
            continue
        parts += (text[kept_until : found.start()], replacement)
        kept_until = search_from = found.start() + length
    if not parts:
        return text
    parts.append(text[kept_until:])
    return "".join(parts)
