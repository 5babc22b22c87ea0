"""Whether a rule can work."""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from apps.monitoring.catalogue import METRICS, RATIOS, SHARE, USER_PREFIX, Kind, Metric, user_metric
from apps.monitoring.core.period import Period
from apps.monitoring.core.rules import MAX_WINDOW, Earlier, Operator, Rule, Scope, Statistic

_SUITS: Final[Mapping[Kind, frozenset[Statistic]]] = MappingProxyType(
    {
        Kind.COUNTER: frozenset({Statistic.COUNT, Statistic.RATE}),
        Kind.DISTINCT: frozenset({Statistic.COUNT}),
        Kind.AMOUNT: frozenset({Statistic.COUNT, Statistic.SUM, Statistic.MEAN, Statistic.RATE, Statistic.FORECAST}),
        Kind.HISTOGRAM: frozenset(Statistic) - {Statistic.RATIO, Statistic.FORECAST},
    }
)
_OF_BUDGETS: Final = (Statistic.SUM, Statistic.COUNT, Statistic.FORECAST)
PLACEHOLDERS: Final = frozenset({"rule", "tenant", "value", "threshold", "samples", "window", "severity"})


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
