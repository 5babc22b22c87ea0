"""A text's outline: where a closer look may be worth while, found at the speed of memory.

A regular expression that begins with a set of characters tries every character, at some ten nanoseconds each; to find
bytes in bytes costs a fiftieth. So every pattern is asked only of texts that have what each of its matches has. Such a test
may say yes for nothing, and must never say no to a match.
"""

from __future__ import annotations

import string
from typing import Final

_LETTERS: Final = string.ascii_letters.encode()
_WORD: Final = _LETTERS + string.digits.encode() + b"_-+/=.~?"
"""What keys and tokens are made of; the question mark may have been a letter."""
LONG: Final = 15
"""Characters in a row: no key and no token is shorter."""


def _table(*kinds: tuple[bytes, bytes]) -> bytes:
    table = bytearray(b" " * 256)
    for members, sign in kinds:
        for member in members:
            table[member] = sign[0]
    return bytes(table)


_SHAPES: Final = _table(
    (_LETTERS, b"a"), (b"0123456789", b"0"), (b" \t\n\r\v\f?.-", b"-"), (b"=:", b":"), (b"@", b"@"), (b"+", b"+"), (b"(", b"(")
)

_WORDS: Final = _table((_WORD, b"w"))
_LONG_WORD: Final = b"w" * LONG


def plain_of(text: str) -> bytes:
    """The text with a question mark for each character that is not ASCII: places stay the same."""
    return text.encode("ascii", "replace")


def shape_of(plain: bytes) -> bytes:
    """``a`` for a letter, ``0`` a digit, ``-`` white space, a dot, a hyphen and what is not ASCII, ``:`` a colon or ``=``.

    ``@``, ``+`` and ``(`` stay, everything else is a space.
    """
    return plain.translate(_SHAPES)


def long_words(plain: bytes) -> list[tuple[int, int]]:
    """Where there may be a key or a token: beginnings and ends."""
    words = plain.translate(_WORDS)
    found: list[tuple[int, int]] = []
    start = words.find(_LONG_WORD)
    while start >= 0:
        end = words.find(b" ", start)
        end = len(words) if end < 0 else end
        found.append((start, end))
        start = words.find(_LONG_WORD, end)
    return found
