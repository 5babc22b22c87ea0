"""Keys, tokens and passwords in a text.

Repetitions are possessive or bounded and no two neighbours can match the same character, so every pattern is linear.
A pattern that begins with a set of characters is searched for at C speed; what must not stand before it is therefore asked
for after its first character.
"""

from __future__ import annotations

import re
from typing import Final

from apps.monitoring.logs.outline import LONG, long_words
from apps.monitoring.logs.scan import has_any
from apps.monitoring.logs.spelling import narrow

SECRET: Final = "[secret]"  # noqa: S105 - what stands in a secret's place

_SCHEMES: Final = (b"bearer", b"basic")
_BEFORE_VALUE: Final = 10
"""Bytes from where a scheme begins to its value."""
_NAMES: Final = re.compile(rb"k(?:ey|en)"), re.compile(rb"p(?:ass|in|wd)"), re.compile(rb"cre(?:t|dential)")
"""One is in every name of a secret, in lower case. A pattern that begins with one letter is fast, one of words is not."""
_BEFORE: Final = len("access_")
"""Bytes from where such a name may begin to one of these."""
_REACH: Final = 40
"""Bytes from one of these to where the value has begun."""

API_TOKEN: Final = "amt_"  # noqa: S105 - the same for all
"""How each token of this product's own API begins."""

_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*+(?:-(?!----)[^-]*+)*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?"
)
"""Headers such as `DEK-Info: AES-128-CBC` have hyphens; five in a row end the key."""
_IN_ADDRESS: Final = re.compile(r"""(?<=://)[^\s/@:]{1,128}+:[^\s/@]{0,256}+(?:@[^\s/@"'<>,;]{0,256}+(?=@)){0,8}+(?=@)""")
"""A password may have an @ itself: the last one is before the host."""
_API_TOKEN: Final = re.compile(rf"(?<![A-Za-z0-9]){API_TOKEN}[A-Za-z0-9_-]{{43,}}+")
"""256 random bits in base64, as `ApiToken.issue` makes them."""
_SLACK: Final = b"hooks.slack.com/"
_SLACK_HOOK: Final = re.compile(r"((?ai:hooks\.slack\.com)/[a-z]{1,20}+/)[\w/-]{8,}+")
"""Whoever knows the address may write to the channel: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks"""
_KNOWN: Final = re.compile(
    r"[sprgxhAwS](?<![A-Za-z0-9].)(?:"
    r"(?<=[spr])k[-_][A-Za-z0-9_-]{16,}+"  # OpenAI, Anthropic, Stripe
    r"|(?<=g)h[pousr]_[A-Za-z0-9]{16,}+|(?<=g)ithub_pat_\w{16,}+|(?<=g)lpat-[\w-]{16,}+"
    r"|(?<=x)ox[abeoprs]-[A-Za-z0-9-]{10,}+|(?<=h)f_[A-Za-z0-9]{16,}+|(?<=A)Iza[\w-]{30,}+|(?<=w)hsec_[\w+/=-]{16,}+"
    r"|(?<=A)(?:K|S)IA[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|(?<=S)G\.[\w-]{16,}+\.[\w-]{16,}+"
    r")"
)
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+(?:\.[\w-]*+){0,2}")
_AUTHORIZATION: Final = re.compile(r"\b((?ai:bearer|basic))(\s{1,3})([\w.~+/=-]{16,}+)")
_NAME: Final = r"(?ai:api[_ -]?key|access[_ -]?key|secret|token|passw(?:or)?d|passphrase|pwd|credentials?)"
_MORE: Final = r"(?:[_ -]?(?ai:key|id|value))?"
_QUOTE: Final = r"""(?:\\{0,3}["'])?"""
"""In JSON within JSON a backslash stands before it, three when that is within JSON again."""
_ASSIGNED: Final = re.compile(
    rf"({_NAME}){_MORE}({_QUOTE}\s{{0,3}}(?:=>|[:=])\s{{0,3}}{_QUOTE})"
    r"""((?:[^\s,;"'}\]&<\\]|\\(?!\\{0,3}["'])){4,}+)"""
)
_KEY: Final = re.compile(rf"(?:{_NAME}{_MORE}|(?ai:authorization|passcode)|(?<![A-Za-z])(?ai:pin))\Z")
_LONGEST_KEY: Final = 32
"""Characters at a key's end that are looked at."""
_SPOKEN: Final = re.compile(
    r"\b((?ai:password|passcode|passphrase|pin))((?:\s{1,3}(?ai:code|number))?\s{1,3}(?ai:is|was)[:\s]{1,3}[\"']?)([^\s\"',;]{4,}+)"
)
_PIN: Final = re.compile(
    rf"(?<![A-Za-z])((?ai:pin|passcode))((?:[_ -]?(?ai:code|number))?{_QUOTE}\s{{0,3}}[:=]\s{{0,3}}{_QUOTE})"
    r"([0-9]{4,8})(?!\w|[.,:/-][0-9])"
)
"""`PIN: 4821`: digits alone, and neither the beginning of a date, a time or another number nor of an id."""
_LONG: Final = 20
"""From here on a value without a digit is no word either."""


def redact(text: str, plain: bytes, shape: bytes) -> str:
    """The text with ``[secret]`` in the place of what opens a door; see `outline` for the other two."""
    whole, lower = text, plain.lower()
    if b"-----aaaaa-" in shape:
        text = _PRIVATE_KEY.sub(SECRET, text)
    if b"@" in shape and "://" in text and max(map(len, text.split()), default=0) >= LONG:
        text = _IN_ADDRESS.sub(SECRET, text)
    words = long_words(plain)
    if words and API_TOKEN in text:
        text = _API_TOKEN.sub(SECRET, text)
    if words and _SLACK in lower:
        text = _SLACK_HOOK.sub(_keep_address, text)
    if words and (text is not whole or any(_opens(text, lower, shape, *word) for word in words)):
        text = _KNOWN.sub(_with_digit, text)
        text = _JWT.sub(SECRET, text)
        text = _AUTHORIZATION.sub(_value_with_digit, text)
    names = [found.start() for name in _NAMES for found in name.finditer(lower)]
    if names and (text is not whole or any(_assigns(text, shape, at) for at in names)):
        text = _ASSIGNED.sub(_value_like_a_secret, text)
    if names and b"0" in shape and (text is not whole or any(_tells(text, at) for at in names)):
        text = _PIN.sub(_keep_name, _SPOKEN.sub(_value_with_digit, text))
    return text


def is_name(key: str) -> bool:
    """Whether what stands under a key is a secret by its name: `password`, `X-Api-Key`, `DB_TOKEN`, not `token_usage`."""
    return _KEY.search(narrow(key[-_LONGEST_KEY:])) is not None


def _opens(text: str, lower: bytes, shape: bytes, start: int, end: int) -> bool:
    """Whether a long word may be a key or a token."""
    if lower.find(b"eyj", start, end) >= 0:
        return True
    if shape.find(b"0", start, end) < 0:
        return False
    return _KNOWN.search(text, start, end) is not None or has_any(lower[max(0, start - _BEFORE_VALUE) : end], _SCHEMES)


def _assigns(text: str, shape: bytes, at: int) -> bool:
    """Whether something is assigned to the name at a place."""
    end = at + _REACH
    return shape.find(b":", at, end) >= 0 and _ASSIGNED.search(text, max(0, at - _BEFORE), end) is not None


def _tells(text: str, at: int) -> bool:
    """Whether a PIN or a password is told in words at a place."""
    return _SPOKEN.match(text, at) is not None or _PIN.match(text, at) is not None


def _keep_address(found: re.Match[str]) -> str:
    return found[1] + SECRET


def _keep_name(found: re.Match[str]) -> str:
    return found[1] + found[2] + SECRET


def _with_digit(found: re.Match[str]) -> str:
    return SECRET if _has_digit(found[0]) else found[0]


def _value_with_digit(found: re.Match[str]) -> str:
    return f"{found[1]}{found[2]}{SECRET}" if _has_digit(found[3]) else found[0]


def _value_like_a_secret(found: re.Match[str]) -> str:
    """`password: hunter` is one; `token: required` is a sentence."""
    value = found[3]
    meant = found[1][:2].lower() == "pa" or found[1].lower() == "pwd" or _has_digit(value) or len(value) >= _LONG
    return found[0][: found.start(3) - found.start()] + SECRET if meant and not value.startswith(SECRET[:-1]) else found[0]


def _has_digit(text: str) -> bool:
    return any("0" <= character <= "9" for character in text)
