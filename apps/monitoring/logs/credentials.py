"""Keys, tokens and passwords in a text.

Repetitions are possessive or bounded and no two neighbours can match the same character, so every pattern is linear.
"""

from __future__ import annotations

import re
from typing import Final

from apps.monitoring.logs.scan import has_any

SECRET: Final = "[secret]"  # noqa: S105 - what stands in a secret's place

_LONG_WORD: Final = 15
"""Characters: without such a word there is no key that is known by its beginning."""
_SCHEMES: Final = ("bearer ", "basic ")
_WORDS: Final = ("key", "secret", "token", "pass", "pwd", "pin ", "credential")
"""Without any of these (in lower case) no secret is named as one."""

_PRIVATE_KEY: Final = re.compile(r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{0,40}PRIVATE KEY-----)?")
_IN_ADDRESS: Final = re.compile(r"(?<=://)[^\s/@:]{1,128}+:[^\s/@]{1,256}+(?=@)")
_KNOWN: Final = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:sk|pk|rk)[-_][A-Za-z0-9_-]{16,}+"  # OpenAI, Anthropic, Stripe
    r"|gh[pousr]_[A-Za-z0-9]{16,}+|github_pat_\w{16,}+|glpat-[\w-]{16,}+"
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,}+|hf_[A-Za-z0-9]{16,}+|AIza[\w-]{30,}+|whsec_[\w+/=-]{16,}+"
    r"|(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|SG\.[\w-]{16,}+\.[\w-]{16,}+"
    r")"
)
_JWT: Final = re.compile(r"(?<![\w-])eyJ[\w-]{8,}+(?:\.[\w-]*+){0,2}")
_AUTHORIZATION: Final = re.compile(r"(?i)\b(bearer|basic)(\s{1,3})([\w.~+/=-]{16,}+)")
_ASSIGNED: Final = re.compile(
    r"(?i)(api[_ -]?key|access[_ -]?key|secret|token|passw(?:or)?d|passphrase|pwd|credentials?)(?:[_ -]?(?:key|id|value))?"
    r"""(["']?\s{0,3}(?:=>|[:=])\s{0,3}["']?)([^\s,;"'}\]&<]{4,}+)"""
)
_SPOKEN: Final = re.compile(
    r"(?i)\b(password|passcode|passphrase|pin)((?:\s{1,3}(?:code|number))?\s{1,3}(?:is|was)[:\s]{1,3}[\"']?)([^\s\"',;]{4,}+)"
)
_LONG: Final = 20
"""From here on a value without a digit is no word either."""


def redact(text: str) -> str:
    """The text with ``[secret]`` in the place of what opens a door."""
    if "-----BEGIN " in text:
        text = _PRIVATE_KEY.sub(SECRET, text)
    if max(map(len, text.split()), default=0) >= _LONG_WORD:
        text = _IN_ADDRESS.sub(SECRET, text)
        text = _KNOWN.sub(_with_digit, text)
        if "eyJ" in text:
            text = _JWT.sub(SECRET, text)
        lower = text.lower()
        if has_any(lower, _SCHEMES):
            text = _AUTHORIZATION.sub(_value_with_digit, text)
    else:
        lower = text.lower()
    if has_any(lower, _WORDS):
        if ":" in text or "=" in text:
            text = _ASSIGNED.sub(_value_like_a_secret, text)
        text = _SPOKEN.sub(_value_with_digit, text)
    return text


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
