"""What a text may say outside: one redactor for logs, notifications and Sentry.

Every pattern is linear in the length of the text: no nested repetition, bounded lengths.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final


class ContentMode(StrEnum):
    """How much of what people wrote is kept."""

    FULL = "full"
    REDACTED = "redacted"
    NONE = "none"


MAX_TEXT: Final = 2_000
MAX_SHORT: Final = 256

_EMAIL: Final = re.compile(r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,8}")
_SECRET: Final = re.compile(
    r"\b(?:sk|pk|rk|ghp|gho|xox[abp])[-_][A-Za-z0-9_-]{16,200}|\bAKIA[A-Z0-9]{16}\b"
    r"|\beyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,2000}"
    r"|(?i:\bbearer\s{1,3})[A-Za-z0-9._~+/=-]{16,2000}"
    r"|(?i:\b(?:api[_-]?key|secret|token|password|passwd)\b\s{0,3}[:=]\s{0,3})[^\s,;\"']{6,200}"
)
_SUSPICIOUS: Final = re.compile(r"[0-9@=:_-]|(?i:bearer)")
"""Without any of these there is nothing to find."""
_DIGITS: Final = re.compile(r"[0-9]{2}")
_IBAN: Final = re.compile(r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b")
_CARD: Final = re.compile(r"(?<![0-9-])[0-9](?:[ -]?[0-9]){12,18}(?![0-9-])")
_PHONE: Final = re.compile(
    r"(?<![\w.+-])(?:\+[0-9]{1,3}[ .-]?)?(?:\([0-9]{2,4}\)[ .-]?|[0-9]{2,4}[ .-])[0-9]{3,4}(?:[ .-][0-9]{2,4}){1,3}(?![\w-])"
    r"|(?<![\w.+-])\+[0-9]{8,15}(?!\w)"
)


@dataclass(frozen=True, slots=True)
class Redactor:
    """Applies the content mode; ``patterns`` are the user's own."""

    mode: ContentMode = ContentMode.REDACTED
    patterns: tuple[re.Pattern[str], ...] = field(default=())

    @classmethod
    def make(cls, mode: str, patterns: Iterable[str] = ()) -> Redactor:
        """From settings. Raises ValueError or re.error with the value that is wrong."""
        return cls(ContentMode(mode), tuple(re.compile(pattern) for pattern in patterns))

    def text(self, value: str) -> str | None:
        """What people wrote: None in mode `none`, cut at 2,000 characters."""
        if self.mode is ContentMode.NONE:
            return None
        cut = value[:MAX_TEXT] + ("…" if len(value) > MAX_TEXT else "")
        return cut if self.mode is ContentMode.FULL else self.redact(cut)

    def short(self, value: str) -> str:
        """A name, a model, an id: cut, and redacted unless everything is kept."""
        return _short(self, value[:MAX_SHORT])

    def redact(self, value: str) -> str:
        """Replace what identifies a person or opens a door."""
        if _SUSPICIOUS.search(value) is not None:
            value = _redact(value)
        for pattern in self.patterns:
            value = pattern.sub("[redacted]", value)
        return value


def _redact(value: str) -> str:
    if "@" in value:
        value = _EMAIL.sub("[email]", value)
    value = _SECRET.sub("[secret]", value)
    if _DIGITS.search(value) is not None:
        value = _IBAN.sub(_if(_is_iban, "[iban]"), value)
        value = _CARD.sub(_if(_is_card, "[card]"), value)
        value = _PHONE.sub("[phone]", value)
    return value


@lru_cache(maxsize=8_192)
def _short(redactor: Redactor, value: str) -> str:
    """Names, models and ids come again and again."""
    return value if redactor.mode is ContentMode.FULL or value.isalnum() else redactor.redact(value)


def _if(check: Callable[[str], bool], replacement: str) -> Callable[[re.Match[str]], str]:
    return lambda match: replacement if check(match[0]) else match[0]


def _is_card(text: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(character) for character in text if character.isdigit()]
    doubled = [digit if position % 2 == 0 else sum(divmod(2 * digit, 10)) for position, digit in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0 and any(digits)


def _is_iban(text: str) -> bool:
    """The check digits of ISO 13616: modulo 97."""
    plain = text.replace(" ", "")
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return int(number) % 97 == 1
