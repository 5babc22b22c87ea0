"""What a rule is, and what it says about a value."""

from __future__ import annotations

import hashlib
import json
import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from apps.monitoring.catalogue import EACH, METRICS, RATIOS
from apps.monitoring.core.duration import in_words
from apps.monitoring.core.period import LONGEST
from apps.monitoring.core.quantity import spell, spell_beside

MAX_WINDOW: Final = 30 * 24 * 60
PERCENT: Final = "%"


class Severity(StrEnum):
    """How bad, from mild to bad."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


def worst(severities: Iterable[str], otherwise: str) -> str:
    """The worst of some severities, or another one where there is none."""
    return max(severities, key=rank, default=otherwise)


def rank(severity: str) -> int:
    """How bad, as a number; what is no severity is milder than any."""
    return next((number for number, known in enumerate(Severity) if known == severity), -1)


class Statistic(StrEnum):
    """What is made of the window's samples. `rate` is per second; `forecast` is what a budget's sum comes to in the end."""

    P50 = "p50"
    P95 = "p95"
    P99 = "p99"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    SUM = "sum"
    COUNT = "count"
    RATE = "rate"
    RATIO = "ratio"
    FORECAST = "forecast"


class Operator(StrEnum):
    """How the value is compared with the threshold; true is a breach."""

    GT = "gt"
    GTE = "gte"
    LT = "lt"
    LTE = "lte"
    EQ = "eq"

    @property
    def symbol(self) -> str:
        """As people write it."""
        return _SYMBOLS[self]

    def holds(self, value: float, threshold: float) -> bool:
        """Whether the value breaches the threshold."""
        return _COMPARE[self](value, threshold)


_SYMBOLS: Final[Mapping[str, str]] = MappingProxyType(
    {Operator.GT: ">", Operator.GTE: "≥", Operator.LT: "<", Operator.LTE: "≤", Operator.EQ: "="}
)
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = MappingProxyType(
    {
        Operator.GT: operator.gt,
        Operator.GTE: operator.ge,
        Operator.LT: operator.lt,
        Operator.LTE: operator.le,
        # A value that went through a division is never equal to the last bit.
        Operator.EQ: lambda value, threshold: math.isclose(value, threshold, rel_tol=1e-9, abs_tol=1e-12),
    }
)


class Scope(StrEnum):
    """Whom one rule judges."""

    GLOBAL = "global"
    EVERY_TENANT = "every_tenant"
    ONE_TENANT = "one_tenant"


class Earlier(StrEnum):
    """How long before its window the one lies that a change is against."""

    DAY = "day"
    WEEK = "week"


class NoData(StrEnum):
    """What no value means: all is well, nothing changes, or an alarm of its own."""

    OK = "ok"
    KEEP = "keep"
    ALERT = "alert"


QUANTILES: Final = MappingProxyType({Statistic.P50: 0.50, Statistic.P95: 0.95, Statistic.P99: 0.99})

_BEFORE: Final[Mapping[str, int]] = MappingProxyType({Earlier.DAY: 24 * 60, Earlier.WEEK: 7 * 24 * 60})
MAX_REACH: Final = max(MAX_WINDOW, *LONGEST.values()) + max(_BEFORE.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on a metric over a window. All stretches of time are whole minutes; the threshold is in `unit`.

    With ``change_against`` the value is by how many per cent it differs from that of the same window a day or a week
    before. With ``budget`` it is of the calendar day or month so far, by the clocks of ``time_zone``, and the window is
    what a forecast takes the rate of.
    """

    name: str
    metric: str
    statistic: str
    operator: str
    threshold: float
    recovery_threshold: float | None = None
    window: int = 5
    pending_for: int = 0
    keep_firing_for: int = 0
    min_samples: int = 10
    severity: str = Severity.WARNING
    cooldown: int = 15
    scope: str = Scope.EVERY_TENANT
    tenant: str = ""
    label_filter: Mapping[str, str] = field(default_factory=dict)
    no_data: str = NoData.OK
    message_template: str = ""
    change_against: str = ""
    budget: str = ""
    time_zone: str = "UTC"
    heard: bool = True
    """Whether a channel is there that would take a notification."""

    @property
    def offset(self) -> int:
        """How many minutes before its window the one lies that a change is against; 0 without one."""
        return _BEFORE[Earlier(self.change_against)] if self.change_against else 0

    @property
    def reach(self) -> int:
        """How many minutes it looks back, the judged one included; of a rule that cannot work what can be said."""
        return max(self.window, LONGEST.get(self.budget, 0)) + _BEFORE.get(self.change_against, 0)

    @property
    def unit(self) -> str:
        """The unit of the value and of the threshold."""
        if self.change_against:
            return PERCENT
        ratio = RATIOS.get(self.metric)
        if ratio is not None:
            return ratio.unit
        if self.statistic in (Statistic.COUNT, Statistic.RATE):
            return EACH
        metric = METRICS.get(self.metric)
        return metric.unit if metric is not None else ""


class Condition(Protocol):
    """What `condition` puts into words: a rule, or what is kept of one."""

    @property
    def metric(self) -> str: ...  # noqa: D102 - as in Rule
    @property
    def statistic(self) -> str: ...  # noqa: D102
    @property
    def operator(self) -> str: ...  # noqa: D102
    @property
    def threshold(self) -> float: ...  # noqa: D102
    @property
    def unit(self) -> str: ...  # noqa: D102
    @property
    def window(self) -> int: ...  # noqa: D102
    @property
    def change_against(self) -> str: ...  # noqa: D102
    @property
    def budget(self) -> str: ...  # noqa: D102


def condition(rule: Condition) -> str:
    """In words: p95 of response_time > 5 s over 5 minutes."""
    return f"{measured(rule)} {limit(rule)} over {stretch(rule)}"


def measured(rule: Condition) -> str:
    """What the value is: p95 of response_time."""
    what = rule.metric if rule.statistic == Statistic.RATIO else f"{rule.statistic} of {rule.metric}"
    return f"change of {what} against the {rule.change_against} before" if rule.change_against else what


def limit(rule: Condition) -> str:
    """What the value is compared with, and how: > 5 s."""
    return f"{_symbol(rule)} {spell(rule.threshold, rule.unit)}{_pace(rule)}"


def amount(rule: Condition, value: float) -> str:
    """A value of the rule, with its unit: 8.81 s."""
    return f"{spell_beside(value, rule.threshold, rule.unit)}{_pace(rule)}"


def stretch(rule: Condition) -> str:
    """What the value is of: 5 minutes, or the month."""
    return f"the {rule.budget}" if rule.budget else in_words(rule.window)


def is_breach(rule: Condition, value: float) -> bool:
    """Whether the rule says so of a value; a rule that is broken by now says nothing."""
    return rule.operator in _COMPARE and _COMPARE[rule.operator](value, rule.threshold)


def compared(rule: Condition, value: float) -> str:
    """The reason of a verdict, in plain numbers: `explain` compares it with that of the history."""
    return _comparison(rule, value, f"{value:g}", f"{_symbol(rule)} {rule.threshold:g}")


def compared_in_words(rule: Condition, value: float) -> str:
    """The same as people read it: 12.3 s > 10 s."""
    return _comparison(rule, value, amount(rule, value), limit(rule))


def _comparison(rule: Condition, value: float, left: str, right: str) -> str:
    return f"{left} {right}" if is_breach(rule, value) else f"{left} is not {right}"


def _symbol(rule: Condition) -> str:
    # A rule that is broken by now still tells how it ended.
    return _SYMBOLS.get(rule.operator, rule.operator)


def _pace(rule: Condition) -> str:
    is_rate = rule.statistic == Statistic.RATE and not rule.change_against
    return " a second" if is_rate else ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one minute says: neither ``breach`` nor ``recovered`` means that nothing changes."""

    value: float | None
    samples: int
    breach: bool
    recovered: bool
    reason: str


def subject(rule: Rule) -> str:
    """What the rule judges, of whom, as a short digest: states of another subject say nothing about this one."""
    what = (
        rule.metric, rule.statistic, rule.scope, rule.tenant, rule.label_filter, rule.change_against, rule.budget
    )  # fmt: skip
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def judge(rule: Rule, value: float | None, samples: int) -> Verdict:
    """Compare the value of a window with the rule. Too few samples are no value, and no value is no breach."""
    if value is None or samples < rule.min_samples:
        reason = _no_value(rule, value, samples)
        policy = NoData(rule.no_data)
        return Verdict(None, samples, policy is NoData.ALERT, policy is NoData.OK, reason)
    compare = Operator(rule.operator)
    recovery = rule.threshold if rule.recovery_threshold is None else rule.recovery_threshold
    breach = compare.holds(value, rule.threshold)
    return Verdict(value, samples, breach, not compare.holds(value, recovery), compared(rule, value))


def _no_value(rule: Rule, value: float | None, samples: int) -> str:
    if value is None and not samples:
        both = f"nothing to compare: both windows, now and a {rule.change_against} before, need data"
        return both if rule.change_against else "no data"
    if samples < rule.min_samples:
        return f"no value: {samples} of {rule.min_samples} samples"
    return f"no value, although there are {samples} samples"
