"""What a rule is, whether it can work, and what it says about a value."""

from __future__ import annotations

import hashlib
import json
import math
import operator
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from apps.monitoring.catalogue import EACH, METRICS, RATIOS, USER_PREFIX, Kind, Metric, user_metric

MAX_WINDOW: Final = 30 * 24 * 60


class Severity(StrEnum):
    """How bad, from mild to bad."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Statistic(StrEnum):
    """What is made of the window's samples. `rate` is per second."""

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


_SYMBOLS: Final = MappingProxyType({Operator.GT: ">", Operator.GTE: "≥", Operator.LT: "<", Operator.LTE: "≤", Operator.EQ: "="})
_COMPARE: Final[Mapping[Operator, Callable[[float, float], bool]]] = MappingProxyType(
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
        Kind.AMOUNT: frozenset({Statistic.COUNT, Statistic.SUM, Statistic.MEAN, Statistic.RATE}),
        Kind.HISTOGRAM: frozenset(Statistic) - {Statistic.RATIO},
    }
)

PLACEHOLDERS: Final = frozenset({"rule", "tenant", "value", "threshold", "samples", "window", "severity"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on a metric over a window. All stretches of time are whole minutes; the threshold is in the metric's unit."""

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

    @property
    def unit(self) -> str:
        """The unit of the value and of the threshold."""
        ratio = RATIOS.get(self.metric)
        if ratio is not None:
            return ratio.unit
        if self.statistic in (Statistic.COUNT, Statistic.RATE):
            return EACH
        metric = METRICS.get(self.metric)
        return metric.unit if metric is not None else ""


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
    what = (rule.metric, rule.statistic, rule.scope, rule.tenant, rule.label_filter)
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()[:16]


def judge(rule: Rule, value: float | None, samples: int) -> Verdict:
    """Compare the value of a window with the rule. Too few samples are no value, and no value is no breach."""
    if value is None or samples < rule.min_samples:
        reason = f"no value: {samples} of {rule.min_samples} samples" if value is not None or samples else "no data"
        policy = NoData(rule.no_data)
        return Verdict(None, samples, policy is NoData.ALERT, policy is NoData.OK, reason)
    compare = Operator(rule.operator)
    recovery = rule.threshold if rule.recovery_threshold is None else rule.recovery_threshold
    breach = compare.holds(value, rule.threshold)
    reason = (
        f"{value:g} {compare.symbol} {rule.threshold:g}" if breach else f"{value:g} is not {compare.symbol} {rule.threshold:g}"
    )
    return Verdict(value, samples, breach, not compare.holds(value, recovery), reason)


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
        if rule.statistic == Statistic.RATIO:
            found["statistic"] = f"{rule.metric} is no ratio"
    else:
        found["metric"] = f"there is no metric {rule.metric!r}: {', '.join(sorted({*METRICS, *RATIOS}))}, or user.<name>"
    _check_thresholds(rule, found)
    _check_scope(rule, metric, found)
    if not 1 <= rule.window <= MAX_WINDOW:
        found["window_minutes"] = f"a window is 1 minute to 30 days, not {rule.window} minutes"
    _check_template(rule, found)
    return found


def _check_statistic(rule: Rule, kind: Kind, found: dict[str, str]) -> None:
    suits = _SUITS[kind]
    if rule.statistic not in suits:
        allowed = ", ".join(sorted(s.value for s in suits))
        found["statistic"] = f"{rule.metric} is a {kind.value}, it has {allowed}, not {rule.statistic}"


def _check_thresholds(rule: Rule, found: dict[str, str]) -> None:
    if rule.operator not in set(Operator):
        found["operator"] = f"an operator is one of {', '.join(Operator)}, not {rule.operator!r}"
        return
    if not _finite(rule.threshold):
        found["threshold"] = f"a threshold is a finite number, not {rule.threshold!r}"
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
