"""What a rule sees over a stretch of minutes, for many tenants at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from apps.monitoring.core import derived
from apps.monitoring.core.judging import Measured
from apps.monitoring.core.rules import NoData, Operator, Rule

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

_RELATIVE: Final = 1e-9
_ABSOLUTE: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Frame:
    """One row a tenant, one column a minute, the first being ``start``. A value is NaN where there is none.

    ``known`` is for each tenant the first minute in which it is judged even without a sample.
    """

    start: int
    tenants: Sequence[str]
    values: Floats
    samples: Integers
    known: Integers

    @property
    def end(self) -> int:
        """The first minute after it."""
        return self.start + int(self.values.shape[1])

    def seen(self, row: int, column: int) -> Measured:
        """What the rule sees of one tenant in one minute."""
        value = float(self.values[row, column])
        return Measured(None if math.isnan(value) else value, int(self.samples[row, column]))

    def against(self, earlier: Frame) -> Frame:
        """`derived.change` of each value: what an earlier frame of the same tenants says is as far back as it begins."""
        here = np.where(earlier.values == 0, np.nan, earlier.values)
        samples = np.minimum(self.samples, earlier.samples)
        return Frame(self.start, self.tenants, derived.per_cent(self.values, here), samples, self.known)

    def has_value(self, rule: Rule) -> Mask:
        """Where there are samples enough for a value."""
        found: Mask = ~np.isnan(self.values) & (self.samples >= rule.min_samples)
        return found

    def breaches(self, rule: Rule) -> Mask:
        """Where the verdict of `rules.judge` is a breach."""
        valued = self.has_value(rule)
        breached: Mask = valued & _holds(Operator(rule.operator), self.values, rule.threshold)
        if NoData(rule.no_data) is NoData.ALERT:
            minutes = np.arange(self.start, self.end)
            judged = (self.samples > 0) | (minutes >= self.known[:, None])
            breached |= ~valued & judged
        return breached


def _holds(operator: Operator, values: Floats, threshold: float) -> Mask:
    """`Operator.holds` of many values; NaN never does."""
    match operator:
        case Operator.GT:
            return values > threshold
        case Operator.GTE:
            return values >= threshold
        case Operator.LT:
            return values < threshold
        case Operator.LTE:
            return values <= threshold
        case Operator.EQ:
            close = np.maximum(_RELATIVE * np.maximum(np.abs(values), abs(threshold)), _ABSOLUTE)
            return np.abs(values - threshold) <= close
