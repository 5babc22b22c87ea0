"""Numbers with their unit as people write them: 10 s, 0.28 %, $0.10."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from apps.monitoring.catalogue import DOLLARS, EACH, MILLISECONDS, SCORE, SHARE

_ALL: Final = 15
"""Significant digits that a float keeps of a decimal number: 100 times 0.0028 is 0.28, not 0.27999999999999997."""
_STEPS: Final = (3, 6, 9, _ALL)
_PLAIN: Final = (1e-9, 1e15)
"""Within these a number is written without an exponent."""


@dataclass(frozen=True, slots=True)
class _Form:
    """What a value is multiplied by, what stands around it, and how many decimals it has at least, if any."""

    factor: float = 1.0
    before: str = ""
    after: str = ""
    decimals: int = 0


_SECOND: Final = 1_000
_SECONDS: Final = _Form(0.001, after=" s")
_FORMS: Final = MappingProxyType(
    {
        MILLISECONDS: _Form(after=" ms"),
        SHARE: _Form(100.0, after=" %"),
        DOLLARS: _Form(before="$", decimals=2),
        # The metric's name says what is counted or scored; one of the user's own has no unit.
        EACH: _Form(),
        SCORE: _Form(),
        "": _Form(),
    }
)


def spell(value: float, unit: str) -> str:
    """A value with all its digits, such as a threshold: 1500 ms is 1.5 s."""
    return _written(value, _form(value, unit), _ALL)


def spell_beside(value: float, limit: float, unit: str) -> str:
    """A measured value with as few digits as keep it on its side of a limit: 25.4 %, but 10.0004 s beside 10 s."""
    form = _form(value, unit)
    side = _side(value, limit)
    fewest = (digits for digits in _STEPS if _side(_rounded(value, form, digits), limit * form.factor) == side)
    return _written(value, form, next(fewest, _ALL))


def _form(value: float, unit: str) -> _Form:
    if unit == MILLISECONDS and abs(value) >= _SECOND:
        return _SECONDS
    return _FORMS.get(unit) or _Form(after=f" {unit}")


def _side(value: float, limit: float) -> int:
    return (value > limit) - (value < limit)


def _rounded(value: float, form: _Form, digits: int) -> float:
    return float(_number(abs(value) * form.factor, digits, form.decimals)) * math.copysign(1, value)


def _written(value: float, form: _Form, digits: int) -> str:
    sign = "-" if value < 0 else ""
    return f"{sign}{form.before}{_number(abs(value) * form.factor, digits, form.decimals)}{form.after}"


def _number(value: float, digits: int, least: int) -> str:
    """Without zeros at its end, but whole or with ``least`` decimals; what stands before the point is never rounded away."""
    if value and not _PLAIN[0] <= value < _PLAIN[1]:
        return f"{value:.{digits}g}"
    decimals = max(least, digits - 1 - math.floor(math.log10(value))) if value else 0
    whole, _, part = f"{value:.{max(decimals, 0)}f}".partition(".")
    kept = part.rstrip("0")
    return f"{whole}.{kept.ljust(least, '0')}" if kept else whole
