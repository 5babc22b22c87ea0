"""What a text may say outside: one redactor for logs, notifications and Sentry.

The time is proportional to the length of the text, whatever the text. What was found and what was not on real
conversations is measured in docs/logs.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final

from apps.monitoring.logs import accounts, contacts, credentials
from apps.monitoring.logs.outline import plain_of, shape_of
from apps.monitoring.logs.spelling import MANY, in_ascii, narrow


class ContentMode(StrEnum):
    """How much of what people wrote is kept."""

    FULL = "full"
    REDACTED = "redacted"
    NONE = "none"


MAX_TEXT: Final = 2_000
"""Characters of what people wrote."""
MAX_SHORT: Final = 256
"""Characters of a name, a model, an id."""
OWN: Final = "[redacted]"
"""In the place of what a user's own pattern found."""

MARGIN: Final = 512
"""Looked at beyond the cut, so that what the cut goes through is still known for what it is."""
_SUSPICIOUS: Final = re.compile(r"[0-9@=:]")
"""Without any of these there is nothing to find in ASCII but a token of the API: every other key that is known has a digit."""
_SHORT: Final = 64
"""Characters: up to here the pattern is faster than an outline."""
_DIGITS: Final = 7
"""Without so many there is no card, no account and no phone."""
_REMEMBERED: Final = 4_096
_DEPTH: Final = 12


class Redactor:
    """Applies the content mode; ``patterns`` are the user's own, ``max_text`` is in characters."""

    __slots__ = ("known", "max_text", "mode", "patterns")

    def __init__(
        self,
        mode: ContentMode = ContentMode.REDACTED,
        patterns: Iterable[re.Pattern[str]] = (),
        max_text: int = MAX_TEXT,
    ) -> None:
        self.mode = mode
        self.patterns = tuple(patterns)
        self.max_text = max_text
        self.known: dict[str, str] = {}
        """Names and how they are shown."""

    @classmethod
    def make(cls, mode: str, patterns: Iterable[str] = (), max_text: int = MAX_TEXT) -> Redactor:
        """From settings. Raises ValueError that names what is wrong."""
        return cls(ContentMode(mode), tuple(_compiled(pattern) for pattern in patterns), max_text)

    def text(self, value: str) -> str | None:
        """What people wrote, cut with an ellipsis; None in mode `none`."""
        if self.mode is ContentMode.NONE:
            return None
        limit = self.max_text
        if len(value) <= limit:
            return value if self.mode is ContentMode.FULL else self.redact(value)
        if self.mode is ContentMode.FULL:
            return value[:limit] + "…"
        window = self.redact(value[: limit + MARGIN])
        # The last characters of the window may be half of something that nobody recognises.
        return window[: min(limit, max(0, len(window) - MARGIN))] + "…"

    def short(self, value: str) -> str:
        """A name, a model, an id: cut, and redacted unless everything is kept."""
        value = value[: MAX_SHORT + MARGIN]
        shown = self.known.get(value)
        if shown is None:
            shown = (value if self.mode is ContentMode.FULL else self.redact(value))[:MAX_SHORT]
            if len(self.known) >= _REMEMBERED:
                self.known.clear()
            self.known[value] = shown
        return shown

    def redact(self, value: str) -> str:
        """Replace what identifies a person or opens a door, at any length and in any mode."""
        if (
            len(value) > _SHORT
            or _SUSPICIOUS.search(value) is not None
            or not value.isascii()
            or credentials.API_TOKEN in value
        ):
            value = _redacted(value)
        for pattern in self.patterns:
            value = pattern.sub(OWN, value)
        return value

    def instead(self, name: str) -> str | None:
        """What is said in the place of a text or a number under a name such as `password`; None when it is shown."""
        return credentials.SECRET if self.mode is not ContentMode.FULL and credentials.is_name(name) else None

    def tree(self, value: Any, depth: int = _DEPTH, *, secret: bool = False) -> Any:
        """A copy of nested mappings and lists with every text redacted, such as an event on its way to Sentry.

        Keys and what is no text stay. Under a name such as `password` (``secret``) texts and numbers are hidden, in lists too.
        Deeper than 12 levels everything is left out.
        """
        if isinstance(value, Mapping):
            return {key: self.tree(inner, depth - 1, secret=_is_name(key)) for key, inner in value.items()} if depth else None
        if isinstance(value, list | tuple):
            return [self.tree(inner, depth - 1, secret=secret) for inner in value] if depth else None
        if secret and value is not None and not isinstance(value, bool):
            return credentials.SECRET
        return self.redact(value) if isinstance(value, str) else value


def _is_name(key: object) -> bool:
    return isinstance(key, str) and credentials.is_name(key)


def _redacted(text: str) -> str:
    """The text itself when nothing is found; otherwise digits, spaces and hyphens of other scripts are ASCII in it.

    So are full-width forms when something is found only then. They are looked at last: before a phone number a full-width
    colon is a mark of the sentence, and one of ASCII would say that it is another number.
    """
    plain = plain_of(text)
    shape = shape_of(plain)
    if text.isascii():
        return _looked_at(text, plain, shape)
    seen = in_ascii(text) if shape.count(b"0") >= _DIGITS or MANY in plain else text
    shown = _looked_at(text, plain, shape) if seen is text else _seen_as(text, seen)
    narrowed = narrow(shown)
    return shown if narrowed is shown else _seen_as(shown, narrowed)


def _seen_as(text: str, seen: str) -> str:
    """The text itself when nothing is found in how it is seen."""
    plain = plain_of(seen)
    shown = _looked_at(seen, plain, shape_of(plain))
    return text if shown == seen else shown


def _looked_at(text: str, plain: bytes, shape: bytes) -> str:
    if not (b"0" in shape or b":" in shape or b"@" in shape or credentials.API_TOKEN in text):
        return text
    shown = credentials.redact(text, plain, shape)
    if b"@" in shape:
        shown = contacts.redact_emails(shown)
    if shape.count(b"0") < _DIGITS:
        return shown
    if shown is not text:
        shape = shape_of(plain := plain_of(shown))
        if shape.count(b"0") < _DIGITS:
            return shown
    accounted = accounts.redact(shown, plain, shape)
    if accounted is not shown:
        shape = shape_of(plain := plain_of(accounted))
    return contacts.redact_phones(accounted, plain, shape)


def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        found = re.compile(pattern)
    except re.error as error:
        msg = f"the redaction pattern {pattern!r} is no regular expression: {error}"
        raise ValueError(msg) from error
    if found.match("") is not None:
        msg = f"the redaction pattern {pattern!r} matches the empty text, so it would redact between all characters"
        raise ValueError(msg)
    return found
