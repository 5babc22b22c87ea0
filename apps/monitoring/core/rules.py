"""What a rule is, whether it can work, and what it says about a value."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import string
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from apps.monitoring.catalogue import EACH, METRICS, RATIOS, SHARE, USER_PREFIX, Kind, Metric, user_metric
from apps.monitoring.core.duration import in_words
from apps.monitoring.core.period import LONGEST, Period
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

_SUITS: Final[Mapping[Kind, frozenset[Statistic]]] = MappingProxyType(
    {
        Kind.COUNTER: frozenset({Statistic.COUNT, Statistic.RATE}),
        Kind.DISTINCT: frozenset({Statistic.COUNT}),
        Kind.AMOUNT: frozenset({Statistic.COUNT, Statistic.SUM, Statistic.MEAN, Statistic.RATE, Statistic.FORECAST}),
        Kind.HISTOGRAM: frozenset(Statistic) - {Statistic.RATIO, Statistic.FORECAST},
    }
)
_OF_BUDGETS: Final = (Statistic.SUM, Statistic.COUNT, Statistic.FORECAST)
_BEFORE: Final[Mapping[str, int]] = MappingProxyType({Earlier.DAY: 24 * 60, Earlier.WEEK: 7 * 24 * 60})
MAX_REACH: Final = max(MAX_WINDOW, *LONGEST.values()) + max(_BEFORE.values())

PLACEHOLDERS: Final = frozenset({"rule", "tenant", "value", "threshold", "samples", "window", "severity"})


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


def problems(rule: Rule) -> dict[str, str]:
    """Why a rule cannot work, by the field of the rule's form; empty when it can."""
    found: dict[str, str] = {}
    metric = METRICS.get(rule.metric)
    if metric is not None:
        _check_statistic(rule, metric.kind, found)
    elif rule.metric in RATIOS:
        if rule.statistic != Statistic.RATIO:
            found["statistic"] = f"{rule.metric} is a ratio: the statistic must be ratio"
    elif rule.metric.startswith(USER_PREFIX):
        try:
            user_metric(rule.metric.removeprefix(USER_PREFIX), Kind.HISTOGRAM)
        except ValueError as error:
            found["metric"] = str(error)
        if rule.statistic in {Statistic.RATIO, Statistic.FORECAST}:
            found["statistic"] = f"{rule.metric} has no {rule.statistic}"
    else:
        found["metric"] = f"there is no metric {rule.metric!r}: {', '.join(sorted({*METRICS, *RATIOS}))}, or user.<name>"
    _check_period(rule, metric, found)
    _check_thresholds(rule, found)
    _check_scope(rule, metric, found)
    if not 1 <= rule.window <= MAX_WINDOW:
        found["window_minutes"] = f"a window is 1 minute to 30 days, not {rule.window} minutes"
    _check_template(rule, found)
    return found


def statistics_of(kind: Kind) -> list[Statistic]:
    """What a rule may make of a metric of that kind; a forecast only with a budget."""
    return [statistic for statistic in Statistic if statistic in _SUITS[kind]]


def budgeted(kind: Kind) -> list[Statistic]:
    """Those of them that a budget may have."""
    return [] if kind is Kind.DISTINCT else [statistic for statistic in statistics_of(kind) if statistic in _OF_BUDGETS]


def _check_statistic(rule: Rule, kind: Kind, found: dict[str, str]) -> None:
    suits = _SUITS[kind]
    if rule.statistic not in suits:
        allowed = ", ".join(sorted(s.value for s in suits))
        found["statistic"] = f"{rule.metric} is a {kind.value}, it has {allowed}, not {rule.statistic}"


def _check_period(rule: Rule, metric: Metric | None, found: dict[str, str]) -> None:
    if rule.change_against and rule.change_against not in set(Earlier):
        found["change_against"] = f"a change is against {' or '.join(Earlier)}, not {rule.change_against!r}"
    if not rule.budget:
        if rule.statistic == Statistic.FORECAST:
            found.setdefault("budget", f"a forecast is of a budget: choose {' or '.join(Period)}")
    elif rule.budget not in set(Period):
        found["budget"] = f"a budget is for {' or '.join(Period)}, not {rule.budget!r}"
    elif rule.change_against:
        found["budget"] = "a budget is for a part of the calendar, a change against a window: choose one of them"
    elif rule.statistic not in _OF_BUDGETS or (metric is not None and rule.statistic not in budgeted(metric.kind)):
        allowed = ", ".join(_OF_BUDGETS)
        found.setdefault("statistic", f"a budget is of what adds up: {allowed}; not {rule.statistic} of {rule.metric}")


def _check_thresholds(rule: Rule, found: dict[str, str]) -> None:
    if rule.operator not in set(Operator):
        found["operator"] = f"an operator is one of {', '.join(Operator)}, not {rule.operator!r}"
        return
    if not _finite(rule.threshold):
        found["threshold"] = f"a threshold is a finite number, not {rule.threshold!r}"
        return
    if rule.unit == SHARE and not 0 <= rule.threshold <= 1:
        found["threshold"] = f"{rule.metric} is a share of 1: write 0.1 for 10 %, not {rule.threshold:g}"
        return
    recovery = rule.recovery_threshold
    if recovery is None:
        return
    compare = Operator(rule.operator)
    if not _finite(recovery):
        found["recovery_threshold"] = f"a recovery threshold is a finite number, not {recovery!r}"
    elif compare is Operator.EQ:
        found["recovery_threshold"] = "a rule with = recovers when the value differs: leave the recovery threshold empty"
    elif recovery != rule.threshold and compare.holds(recovery, rule.threshold):
        found["recovery_threshold"] = f"the recovery threshold {recovery:g} lies on the breaching side of {rule.threshold:g}"


def _check_scope(rule: Rule, metric: Metric | None, found: dict[str, str]) -> None:
    if rule.scope == Scope.ONE_TENANT and not rule.tenant:
        found["tenant"] = "a rule for one tenant names the tenant"
    elif rule.scope != Scope.ONE_TENANT and rule.tenant:
        found["tenant"] = "only a rule for one tenant names a tenant"
    if not isinstance(rule.label_filter, Mapping) or not all(
        isinstance(k, str) and isinstance(v, str) for k, v in rule.label_filter.items()
    ):
        found["label_filter"] = 'a label filter is an object of texts, such as {"model": "gpt-4o"}'
    elif rule.label_filter and not rule.metric.startswith(USER_PREFIX):
        known = metric.labels if metric is not None else ()
        unknown = sorted(set(rule.label_filter) - set(known))
        if unknown:
            found["label_filter"] = f"{rule.metric} has no label {', '.join(unknown)}; it has {', '.join(known) or 'none'}"


def _check_template(rule: Rule, found: dict[str, str]) -> None:
    try:
        fields = {
            f"{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}"
            for _, name, spec, conversion in string.Formatter().parse(rule.message_template)
            if name is not None
        }
    except ValueError as error:
        found["message_template"] = f"the template cannot be read: {error}"
        return
    unknown = sorted(fields - PLACEHOLDERS)
    if unknown:
        found["message_template"] = f"unknown placeholder {', '.join(unknown)}; known: {', '.join(sorted(PLACEHOLDERS))}"


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
