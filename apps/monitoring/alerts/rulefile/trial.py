"""Run a test of rules: the series judged by what evaluates and backtests, and compared with what is expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apps.monitoring.alerts.rulefile.cases import Case, Check, Expected
from apps.monitoring.alerts.rulefile.written import Source
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.core.judging import NOTHING, Measured
from apps.monitoring.core.lifecycle import Status
from apps.monitoring.core.rules import QUANTILES, Rule, judge
from apps.monitoring.core.timeline import Line, Timeline

_EXACT: Final = 1e-9
_QUANTILE: Final = 0.0055
"""How far a percentile may be off, relatively: that of the histograms."""


@dataclass(frozen=True, slots=True)
class Actual:
    """Where a tenant stood, and why."""

    tenant: str
    state: Status
    value: float | None
    samples: int
    notified: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A check that did not hold: what it expected of tenants, and what was; a line each."""

    place: str
    rule: str
    offset: int
    expected: tuple[str, ...]
    actual: tuple[str, ...]


def run(case: Case) -> list[Failure]:
    """The checks of a test that do not hold."""
    by_rule: dict[str, list[Check]] = {}
    for check in case.checks:
        by_rule.setdefault(check.rule, []).append(check)
    failures = {}
    for name, checks in by_rule.items():
        stands = _played(case, case.rules[name], {check.offset for check in checks})
        for check in checks:
            failure = _compare(check, case.rules[name], stands[check.offset])
            if failure is not None:
                failures[id(check)] = failure
    return [failures[id(check)] for check in case.checks if id(check) in failures]


def _played(case: Case, rule: Rule, offsets: set[int]) -> dict[int, dict[str, Actual]]:
    """Where every tenant stands at some minutes of the test."""
    end = case.start + max(offsets) + 1
    timeline = Timeline(rule, end=end)
    seen: dict[int, dict[str, Measured]] = {offset: {} for offset in offsets}
    for frame in Sweep(rule, case.start, end, Source(case.series)):
        timeline.show(frame)
        for offset in offsets:
            column = case.start + offset - frame.start
            if 0 <= column < frame.end - frame.start:
                seen[offset] |= {tenant: frame.seen(row, column) for row, tenant in enumerate(frame.tenants)}
    return {
        offset: {
            tenant: _stand(rule, tenant, timeline.lines.get(tenant, ()), case.start + offset, measured.get(tenant, NOTHING))
            for tenant in {*measured, *timeline.lines}
        }
        for offset, measured in seen.items()
    }


def _stand(rule: Rule, tenant: str, lines: Sequence[Line], minute: int, measured: Measured) -> Actual:
    changes = [line.state for line in lines if line.changed and line.minute <= minute]
    state = changes[-1] if changes else Status.INACTIVE
    now = [line for line in lines if line.minute == minute]
    verdict = judge(rule, measured.value, measured.samples)
    return Actual(
        tenant,
        Status.INACTIVE if state is Status.RESOLVED else state,
        verdict.value,
        measured.samples,
        any(line.notice is not None for line in now),
        now[-1].reason if now else verdict.reason,
    )


def _compare(check: Check, rule: Rule, stands: Mapping[str, Actual]) -> Failure | None:
    expected = {one.tenant: one for one in check.alerts}
    open_now = {tenant for tenant, actual in stands.items() if actual.state is not Status.INACTIVE}
    wrong = sorted(
        tenant
        for tenant in {*expected, *open_now}
        if not _holds(rule, expected.get(tenant, Expected(tenant, Status.INACTIVE)), stands.get(tenant, _nobody(tenant)))
    )
    if not wrong:
        return None
    return Failure(
        check.place,
        check.rule,
        check.offset,
        tuple(_said(expected.get(tenant, Expected(tenant, Status.INACTIVE))) for tenant in wrong),
        tuple(_was(stands.get(tenant, _nobody(tenant))) for tenant in wrong),
    )


def _nobody(tenant: str) -> Actual:
    return Actual(tenant, Status.INACTIVE, None, 0, notified=False, reason="nothing was ever recorded for it")


def _holds(rule: Rule, expected: Expected, actual: Actual) -> bool:
    return (
        expected.state is actual.state
        and (expected.value is None or _near(rule, expected.value, actual.value))
        and expected.samples in {None, actual.samples}
        and expected.notified in {None, actual.notified}
    )


def _near(rule: Rule, expected: float, actual: float | None) -> bool:
    if actual is None:
        return False
    if rule.statistic not in QUANTILES:
        return math.isclose(expected, actual, rel_tol=_EXACT, abs_tol=_EXACT)
    if rule.change_against:
        # Two percentiles, each off: so much of their quotient in per cent.
        return abs(expected - actual) <= 2.1 * _QUANTILE * (100 + abs(expected))
    return math.isclose(expected, actual, rel_tol=_QUANTILE)


def _said(one: Expected) -> str:
    return _line(one.tenant, one.state, one.value, one.samples, one.notified)


def _was(one: Actual) -> str:
    return f"{_line(one.tenant, one.state, one.value, one.samples, one.notified)} ({one.reason})"


def _line(tenant: str, state: Status, value: float | None, samples: int | None, notified: bool | None) -> str:  # noqa: FBT001 - one of five facts
    facts = [f"{tenant or 'all tenants'} {state.value}"]
    facts += [] if value is None else [f"value {value:g}"]
    facts += [] if samples is None else [f"{samples} samples"]
    facts += [] if notified is None else ["notified" if notified else "not notified"]
    return ", ".join(facts)
