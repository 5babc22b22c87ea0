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

_COUNTRIES: Final = frozenset(country.encode() for country in _IBAN_LENGTHS)
_IN_A_WORD: Final = (b"a", b"0")
_IBAN: Final = re.compile(r"[A-Za-z](?<![A-Za-z0-9].)[A-Za-z][0-9]{2}(?:[ -]?[A-Za-z0-9]){11,29}+")
_CARD: Final = re.compile(
    r"[2-6](?<![0-9].)(?:"
    r"[0-9]{3}([ -])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{1,3})?"  # 4-4-4-4, Maestro with more
    r"|(?<=3)[0-9]{3}([ -])[0-9]{6}\2[0-9]{4,5}"  # American Express, Diners
    r"|[0-9]{12,18}"
    r")(?![0-9])"
)


def redact(text: str, plain: bytes, shape: bytes) -> str:
    """The text with ``[iban]`` and ``[card]`` in the places of valid ones."""
    if b"0000" not in shape:
        return text
    if b"aa00" in shape and _names_a_country(plain, shape):
        text = replace(_IBAN, text, _iban, IBAN)
    if b"0000000000000" in shape or b"0000-0000-0000" in shape or b"0000-000000-0000" in shape:
        text = replace(_CARD, text, _card, CARD)
    return text


def _names_a_country(plain: bytes, shape: bytes) -> bool:
    """Whether a word begins with a country that has IBANs, and check digits."""
    at = shape.find(b"aa00")
    while at >= 0:
        if shape[at - 1 : at] not in _IN_A_WORD and plain[at : at + 2].upper() in _COUNTRIES:
            return True
        at = shape.find(b"aa00", at + 1)
    return False


def _card(candidate: str) -> int:
    """Luhn's check digit (ISO/IEC 7812-1)."""
    digits = [int(character) for character in reversed(candidate) if character.isdigit()]
    doubled = (digit if place % 2 == 0 else digit * 2 - 9 * (digit > 4) for place, digit in enumerate(digits))  # noqa: PLR2004 - 2 x 5 has two digits
    return len(candidate) if sum(doubled) % 10 == 0 else 0


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
