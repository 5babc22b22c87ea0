"""A threshold for a wished number of alerts a week, found by trying thresholds on what was measured."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from apps.monitoring.core.frame import Floats, Frame
from apps.monitoring.core.rules import Operator, Rule
from apps.monitoring.core.timeline import Tally, Timeline

WEEK: Final = 7 * 24 * 60
_LEAST_VALUES: Final = 100
_LOOSEST: Final = 0.5
"""A threshold that over half of all values breach is none."""
_DIGITS: Final = range(1, 7)
"""Significant ones of a threshold."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a suggestion was computed from: from the first minute with a value to the end of the range."""

    minutes: int
    tenants: int
    values: int
    """One for each tenant and minute that had samples enough."""
    tried: int
    """Thresholds that were tried."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """``threshold`` is None when the data do not suffice, and ``reason`` says why; otherwise it says what would come of it."""

    threshold: float | None
    recovery_threshold: float | None
    reason: str
    tally: Tally
    evidence: Evidence


def suggest(rule: Rule, frames: Sequence[Frame], per_week: float, go_on: Callable[[], None] = lambda: None) -> Suggestion:
    """The threshold that fires as often as wished, or as near below it as there is one: the alerts of all tenants together.

    It begins with a threshold that nothing breaches and gives way until more alerts would come than are wished. So what is
    stricter than the suggestion was found to be calm enough too, although fewer breaches may make more alerts. ``go_on`` is
    called before each frame that a threshold is tried on: who has no more time raises there.
    """
    values = [frame.values[frame.has_value(rule)] for frame in frames]
    together = np.sort(np.concatenate(values)) if values else np.empty(0)
    search = _Search(rule, frames, together if _upward(rule) else together[::-1], go_on)
    problem = _problem(rule, search, per_week)
    if problem is not None:
        return Suggestion(None, None, problem, Tally(), search.evidence())
    allowed = per_week * search.minutes / WEEK
    threshold = search.threshold(search.loosest(allowed))
    tally = search.tally(threshold, math.inf)
    reason = f"about {WEEK * tally.fired / search.minutes:.2g} alerts a week: {tally} in {_days(search.minutes)}"
    return Suggestion(threshold, _recovery(rule, threshold), reason, tally, search.evidence())


class _Search:
    """Thresholds by rank: at rank 0 nothing breaches, at rank n the n most extreme values do, or some fewer of equal ones."""

    def __init__(self, rule: Rule, frames: Sequence[Frame], values: Floats, go_on: Callable[[], None]) -> None:
        self._rule, self._frames, self._values = rule, frames, values
        """The mildest value first."""
        self._go_on = go_on
        self.size = values.size
        self._tried: dict[float, Tally] = {}
        self.tries = 0
        rows = [frame.has_value(rule) for frame in frames]
        begun = [frame.start + int(own.any(axis=0).argmax()) for frame, own in zip(frames, rows, strict=True) if own.any()]
        self.minutes = max((frame.end for frame in frames), default=0) - min(begun) if begun else 0
        heard = (
            frame.tenants[row]
            for frame, own in zip(frames, rows, strict=True)
            for row in np.flatnonzero(own.any(axis=1)).tolist()
        )
        self._tenants = len(set(heard))

    def evidence(self) -> Evidence:
        return Evidence(self.minutes, self._tenants, self.size, self.tries)

    def threshold(self, rank: int) -> float:
        """Half way between the values that breach and those that do not, with as few digits as still lie between them."""
        calm = float(self._values[-1 - rank])
        beyond = self._values[self._values > calm] if _upward(self._rule) else self._values[self._values < calm]
        if not beyond.size:
            return _round(calm, _DIGITS[-1], up=_upward(self._rule))
        worse = float(beyond.min() if _upward(self._rule) else beyond.max())
        strict = Operator(self._rule.operator) in {Operator.GT, Operator.LT}
        low, high = min(calm, worse), max(calm, worse)
        short = (float(f"{(calm + worse) / 2:.{digits}g}") for digits in _DIGITS)
        return next((one for one in short if low < one < high), calm if strict else worse)

    def tally(self, threshold: float, enough: float) -> Tally:
        """What a threshold would have made of the frames; it is not looked at any more once it fired more than ``enough``."""
        if threshold not in self._tried:
            self.tries += 1
            changed = replace(self._rule, threshold=threshold, recovery_threshold=_recovery(self._rule, threshold))
            timeline = Timeline(changed, max(frame.end for frame in self._frames))
            for frame in self._frames:
                self._go_on()
                timeline.show(frame)
                if timeline.total().fired > enough:
                    return timeline.total()
            self._tried[threshold] = timeline.total()
        return self._tried[threshold]

    def loosest(self, allowed: float) -> int:
        """The rank before the first that fires more often, looked for in doubling and then halving steps."""
        good, bad = 0, None
        for rank in self._doubling():
            if self.tally(self.threshold(rank), allowed).fired > allowed:
                bad = rank
                break
            good = rank
        while bad is not None and bad - good > 1:
            middle = (good + bad) // 2
            if self.tally(self.threshold(middle), allowed).fired > allowed:
                bad = middle
            else:
                good = middle
        return good

    def _doubling(self) -> Iterator[int]:
        rank = 1
        while rank < self.size * _LOOSEST:
            yield rank
            rank *= 2


def _problem(rule: Rule, search: _Search, per_week: float) -> str | None:
    if Operator(rule.operator) is Operator.EQ:
        return "a rule with = has no threshold that is stricter than another"
    if not per_week > 0:
        return f"a wish is more than 0 alerts a week, not {per_week:g}"
    if search.size < _LEAST_VALUES:
        return f"{search.size} values are too few: it takes {_LEAST_VALUES} minutes with {rule.min_samples} samples or more"
    if per_week * search.minutes < WEEK:
        needed = _days(math.ceil(WEEK / per_week))
        return f"there are values of {_days(search.minutes)} only: to see {per_week:g} alerts a week takes {needed}"
    return None


def _upward(rule: Rule) -> bool:
    return Operator(rule.operator) in {Operator.GT, Operator.GTE}


def _recovery(rule: Rule, threshold: float) -> float | None:
    """As far from the threshold as the rule's own, in proportion."""
    if rule.recovery_threshold is None:
        return None
    if not rule.threshold:
        return threshold + (rule.recovery_threshold - rule.threshold)
    return threshold * (rule.recovery_threshold / rule.threshold)


def _round(value: float, digits: int, *, up: bool) -> float:
    """To so many significant digits, towards what is breached less."""
    if not value:
        return value
    places = digits - 1 - math.floor(math.log10(abs(value)))
    factor = 10.0**places
    rounded = (math.ceil if up else math.floor)(value * factor) / factor
    return float(f"{rounded:.{digits + 2}g}")


def _days(minutes: int) -> str:
    days = minutes / (24 * 60)
    return f"{days:.3g} day{'' if days == 1 else 's'}"
