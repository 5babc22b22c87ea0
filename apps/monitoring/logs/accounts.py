"""Payment cards and bank accounts in a text: what looks like one and whose check digits are right."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from apps.monitoring.logs.scan import replace

CARD: Final = "[card]"
IBAN: Final = "[iban]"

_IBAN_LENGTHS: Final = MappingProxyType(
    {
        country: length
        for length, countries in {
            15: "NO", 16: "BE", 18: "DK FO FI GL NL SD", 19: "MK SI", 20: "AT BA EE KZ LT LU XK",
            21: "CH HR LI LV", 22: "BG BH CR DE GB GE IE ME RS VA", 23: "AE GI IL IQ OM SO TL",
            24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "LY PT ST", 26: "IS TR", 27: "BI DJ FR GR IT MC MR SM",
            28: "AL AZ BY CY DO GT HU LB NI PL SV", 29: "BR EG PS QA UA", 30: "JO KW MU YE", 31: "MT SC", 32: "LC", 33: "RU",
        }.items()
        for country in countries.split()
    }
)  # fmt: skip
"""Characters by country: https://www.swift.com/standards/data-standards/iban-international-bank-account-number"""

_SHORTEST: Final = min(_IBAN_LENGTHS.values())
_COUNTRIES: Final = frozenset(country.encode() for country in _IBAN_LENGTHS)
_IBAN: Final = re.compile(r"[A-Za-z](?<![A-Za-z0-9].)[A-Za-z][0-9]{2}(?:[ .\-\n]{0,2}[A-Za-z0-9]){11,29}+")
_GLUED: Final = re.compile(
    r"[A-Za-z](?<![A-Za-z0-9].)[A-Za-z]{0,19}(?P<iban>[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,29}+)(?![A-Za-z0-9])"
)
"""A word that an IBAN in one piece is glued to, such as `IBANDE89…`."""
_GAP: Final = r"[ .\-\n]{1,2}"
_CARD: Final = re.compile(
    # Years do not begin a card: Mir has 2200 to 2205, Mastercard 2221 to 2720.
    r"[2-6](?<![0-9].)(?:(?<!2)|(?=[2-7]))(?:"
    rf"[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}(?:{_GAP}[0-9]{{1,3}})?"  # 4-4-4-4, Maestro with more
    rf"|(?<=3)[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}}"  # American Express, Diners
    r"|[0-9]{12,18}"
    r")(?![0-9])"
)
_USUAL: Final = 16
"""Digits of most cards."""


def redact(text: str, plain: bytes, shape: bytes) -> str:
    """The text with ``[iban]`` and ``[card]`` in the places of valid ones."""
    if b"0000" not in shape:
        return text
    if b"aa00" in shape and _names_a_country(plain, shape):
        text = _GLUED.sub(_keep_word, replace(_IBAN, text, _iban, IBAN))
    narrow = shape.replace(b"--", b"-") if b"0000--" in shape else shape
    if b"0000000000000" in shape or b"0000-0000-0000" in narrow or b"0000-000000-0000" in narrow:
        text = replace(_CARD, text, _card, CARD)
    return text


def _names_a_country(plain: bytes, shape: bytes) -> bool:
    """Whether a country that has IBANs stands before check digits, at the beginning of a word or glued to one."""
    at = shape.find(b"aa00")
    while at >= 0:
        before = shape[at - 1 : at]
        glued = before == b"a"
        if before != b"0" and (not glued or plain[at : at + _SHORTEST].isalnum()) and plain[at : at + 2].upper() in _COUNTRIES:
            return True
        at = shape.find(b"aa00", at + 1)
    return False


def _card(candidate: str) -> int:
    """A card with all the digits, or with the usual number of them: a month or a security code may stand behind it."""
    if _checks(candidate):
        return len(candidate)
    places = [place for place, character in enumerate(candidate) if character.isdigit()]
    if len(places) <= _USUAL or places[_USUAL] == places[_USUAL - 1] + 1:
        return 0
    end = places[_USUAL - 1] + 1
    return end if _checks(candidate[:end]) else 0


def _checks(candidate: str) -> bool:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(character) for character in reversed(candidate) if character.isdigit()]
    doubled = (digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits))  # noqa: PLR2004 - 2 x 5 has two digits
    return sum(doubled) % 10 == 0


def _keep_word(found: re.Match[str]) -> str:
    iban = found["iban"]
    return found[0].removesuffix(iban) + IBAN if _iban(iban) == len(iban) else found[0]


def _iban(candidate: str) -> int:
    """The country's number of characters, and the check digits of ISO 13616: modulo 97."""
    length = _IBAN_LENGTHS.get(candidate[:2].upper(), 0)
    places = [place for place, character in enumerate(candidate) if character.isalnum()][:length]
    if not length or len(places) < length:
        return 0
    end = places[-1] + 1
    if candidate[end : end + 1].isalnum():
        return 0
    plain = "".join(candidate[place] for place in places)
    number = "".join(str(int(character, 36)) for character in plain[4:] + plain[:4])
    return end if int(number) % 97 == 1 else 0
