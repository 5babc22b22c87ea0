"""Digits, spaces and hyphens of other scripts, and full-width forms, as ASCII has them: a number is known however it is set.

One character for one, so places in the text stay the same.
"""

from __future__ import annotations

import re
from typing import Final

_ZEROS: Final = "\u0660\u06f0\u0966\uff10"
"""Arabic, Persian, Devanagari and full-width; nine more follow each."""
OTHER_DIGITS: Final = "".join(chr(ord(zero) + digit) for zero in _ZEROS for digit in range(10))
MANY: Final = b"????"
"""What a number in other digits has in its outline: four of them in a row."""
_SPACES: Final = (
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u200b\u202f\u205f\u2060\u3000\ufeff"
)
_DASHES: Final = "\xad\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d"
_PLUS: Final = "\uff0b"
_ASCII: Final = {
    **{digit: str(place % 10) for place, digit in enumerate(OTHER_DIGITS)},
    **dict.fromkeys(_SPACES, " "),
    **dict.fromkeys(_DASHES, "-"),
    _PLUS: "+",
}
_BEHIND: Final = f"(?<=[0-9{OTHER_DIGITS})].)"
_BEFORE: Final = f"(?=[0-9{OTHER_DIGITS}(])"
_OTHER: Final = re.compile(
    f"[{OTHER_DIGITS}{_PLUS}{_SPACES}{_DASHES}]"
    f"(?:(?<=[{OTHER_DIGITS}{_PLUS}])|{_BEHIND}(?:(?<=[{_SPACES}])|{_BEFORE})|(?<=[{_SPACES}]){_BEFORE})"
)
"""A space beside a digit, a dash between two: in `my number—555 123 2002` it is none of the number's, and a hyphen would be."""
_FULL_WIDTH: Final = re.compile("[\uff01-\uff5e]")
_HALF_WIDTH: Final = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
"""Letters, digits and signs as wide as a Chinese character, each to its own in ASCII: https://www.unicode.org/charts/PDF/UFF00.pdf"""


def in_ascii(text: str) -> str:
    """The same text when there is nothing of the kind in it."""
    return _OTHER.sub(_spelled, text)


def narrow(text: str) -> str:
    """As `in_ascii`, and all full-width letters, digits and signs too; the same text when there is none of these in it."""
    return in_ascii(text).translate(_HALF_WIDTH) if not text.isascii() and _FULL_WIDTH.search(text) is not None else text


def _spelled(found: re.Match[str]) -> str:
    return _ASCII[found[0]]
