"""E-mail addresses and phone numbers in a text.

A pattern that begins with a set of characters is searched for at C speed; what must not stand before it is therefore
asked for after its first character.
"""

from __future__ import annotations

import re
from typing import Final

from apps.monitoring.logs.scan import has_any, replace

EMAIL: Final = "[email]"
PHONE: Final = "[phone]"

_EMAIL: Final = re.compile(r"(?<![\w.%+-])[\w.%+-]++@[\w-]++(?:\.[\w-]++)++")
"""One pass: a run of characters is looked at from its beginning only, and never given back."""

_INTERNATIONAL: Final = re.compile(r"(?:\+(?<![\w+].)|0(?<![\w+].)0(?=[1-9]))[0-9](?:[ ().\-/]{0,2}[0-9]){7,14}(?![0-9])")
_AMERICAN: Final = re.compile(
    r"[0-9(](?<![\w.#/-].)(?:"
    r"(?<=\()[0-9]{3}\) {0,2}[0-9]{3}(?: {1,2}|[.-])[0-9]{4}"
    r"|(?<=1)[ .-]\(?[0-9]{3}\)?(?: {1,2}|[.-])[0-9]{3}(?: {1,2}|[.-])[0-9]{4}"
    r"|[0-9]{2}( {1,2}|[.-])[0-9]{3}\1[0-9]{4}"
    r")(?![\w-]|\.[0-9])"
)
_NATIONAL: Final = re.compile(
    r"[0(](?<![\w.,:#/-].)(?:"
    r"(?:(?<=\()0[0-9]{1,5}\)|[0-9]{1,5}(?=[ /-]))[ /-]{1,3}[0-9]{2,9}(?:(?: {0,2}|-)[0-9]{2,8}){0,4}"
    r"|(?<=0)[1-9](?:\.[0-9]{2}){4}"  # as in France
    r"|(?<=0)[1-9][0-9]{1,3}\.[0-9]{3,8}(?:\.[0-9]{3,4})?"
    r")(?![\w-]|[.,:][0-9])"
)
_FROM_FAR: Final = re.compile(r"0(?:(?<![\w+].)0[1-9]|(?<![\w.,:#/-].)[0-9]{1,5}[ ./-])")
"""How a number begins that may be an international or a national one: a pattern that begins with one character is fast."""
_NAMED: Final = re.compile(
    r"\b(?ai:(?:tele)?phone|mobile|cell|tel|whatsapp|fax|call me)"
    r"(?:\.|\s(?ai:number|no\.?|nr\.?))?(?:\s(?ai:is|at|on))?\s?[:=]?\s?\+?[0-9]{7,15}(?![\w-])"
)
_WORDS: Final = (b"phone", b"mobile", b"cell", b"tel", b"whatsapp", b"fax", b"call me")
_BEFORE_BARE: Final = (b"a", b"-", b":", b"+")
_REACH: Final = 40
"""Bytes before the digits: the word begins there."""
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


def redact_phones(text: str, plain: bytes, shape: bytes) -> str:
    """The text with ``[phone]`` in the place of numbers that are written as phone numbers."""
    far = _FROM_FAR.search(text) is not None
    if far or b"+0" in shape:
        text = replace(_INTERNATIONAL, text, _any, PHONE)
    if b"000-0000" in shape or b"000--0000" in shape:
        text = replace(_AMERICAN, text, _any, PHONE)
    if far or b"(0" in shape:
        text = replace(_NATIONAL, text, _national, PHONE)
    if b"0000000" in shape and _names_a_phone(plain, shape):
        text = _NAMED.sub(_keep_name, text)
    return text


def _names_a_phone(plain: bytes, shape: bytes) -> bool:
    """Whether one of the words stands shortly before seven digits."""
    at = shape.find(b"0000000")
    while at >= 0:
        if shape[at - 1 : at] in _BEFORE_BARE and has_any(plain[max(0, at - _REACH) : at].lower(), _WORDS):
            return True
        at = shape.find(b"0000000", at + 7)
    return False


def _any(candidate: str) -> int:
    return len(candidate) if _LEAST <= _digits(candidate) <= _MOST else 0


def _national(candidate: str) -> int:
    digits = _digits(candidate)
    return len(candidate) if _TIMID <= digits <= _MOST and _DATE.match(candidate) is None else 0


def _keep_name(found: re.Match[str]) -> str:
    return found[0].rstrip("+0123456789") + PHONE


def _digits(text: str) -> int:
    return sum("0" <= character <= "9" for character in text)
