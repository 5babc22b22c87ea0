"""E-mail addresses and phone numbers in a text.

A pattern that begins with a set of characters is searched for at C speed; what must not stand before it is therefore
asked for after its first character.
"""

from __future__ import annotations

import re
from typing import Final

from apps.monitoring.logs.scan import replace

EMAIL: Final = "[email]"
PHONE: Final = "[phone]"

_EMAIL: Final = re.compile(r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)++")
"""One pass: a run of characters is looked at from its beginning only, and never given back."""

_INTERNATIONAL: Final = re.compile(r"(?:\+(?<![\w+].)|0(?<![\w+].)0(?=[1-9]))[0-9](?:[ ().\-/]{0,2}[0-9]){7,14}(?![0-9])")
_AMERICAN: Final = re.compile(
    r"[0-9(](?<![\w.#/-].)(?:"
    r"(?<=\()[0-9]{3}\) ?[0-9]{3}[ .-][0-9]{4}"
    r"|(?<=1)[ .-]\(?[0-9]{3}\)?[ .-][0-9]{3}[ .-][0-9]{4}"
    r"|[0-9]{2}([ .-])[0-9]{3}\1[0-9]{4}"
    r")(?![\w-]|\.[0-9])"
)
_NATIONAL: Final = re.compile(
    r"[0(](?<![\w.,:#/-].)(?:(?<=\()0[0-9]{1,5}\)|[0-9]{1,5}(?=[ /-]))[ /-]{1,3}"
    r"[0-9]{2,9}(?:[ -]?[0-9]{2,8}){0,4}(?![\w-]|[.,:][0-9])"
)
_BARE: Final = re.compile(r"[0-9]{7}")
_NAMED: Final = re.compile(
    r"(?i)\b(?:(?:tele)?phone|mobile|cell|tel|whatsapp|fax|call me)"
    r"(?:\.|\s(?:number|no\.?|nr\.?))?(?:\s(?:is|at|on))?\s?[:=]?\s?\+?[0-9]{7,15}(?![\w-])"
)
_DATE: Final = re.compile(r"[0-9]{2}([ /-])[0-9]{2}\1[0-9]{4}")
_LEAST, _MOST = 7, 15
"""Digits: E.164 allows 15, and what is shorter than 7 reaches nobody from elsewhere."""
_TIMID: Final = 9
"""A national number is told from other numbers by having at least so many digits."""


def redact_emails(text: str) -> str:
    """The text with ``[email]`` in the place of addresses; only words with an @ are looked at."""
    parts: list[str] = []
    done = 0
    while (at := text.find("@", done)) >= 0:
        begin = max(done, text.rfind(" ", done, at))
        end = text.find(" ", at)
        end = len(text) if end < 0 else end
        parts += (text[done:begin], _EMAIL.sub(EMAIL, text[begin:end]))
        done = end
    return "".join((*parts, text[done:])) if parts else text


def redact_phones(text: str) -> str:
    """The text with ``[phone]`` in the place of numbers that are written as phone numbers."""
    if "+" in text or "00" in text:
        text = replace(_INTERNATIONAL, text, _any, PHONE)
    text = replace(_AMERICAN, text, _any, PHONE)
    text = replace(_NATIONAL, text, _national, PHONE)
    return _NAMED.sub(_keep_name, text) if _BARE.search(text) else text


def _any(candidate: str) -> int:
    return len(candidate) if _LEAST <= _digits(candidate) <= _MOST else 0


def _national(candidate: str) -> int:
    digits = _digits(candidate)
    return len(candidate) if _TIMID <= digits <= _MOST and _DATE.match(candidate) is None else 0


def _keep_name(found: re.Match[str]) -> str:
    return found[0].rstrip("+0123456789") + PHONE


def _digits(text: str) -> int:
    return sum("0" <= character <= "9" for character in text)
