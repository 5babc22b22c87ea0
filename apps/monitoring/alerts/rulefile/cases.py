"""Files of tests of rules: what was recorded, and who is to be pending or firing when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from apps.monitoring.alerts.rulefile import document, rules, typed, written
from apps.monitoring.alerts.rulefile.errors import RuleFileError
from apps.monitoring.alerts.rulefile.written import Written
from apps.monitoring.catalogue import Kind
from apps.monitoring.core.lifecycle import Status
from apps.monitoring.core.rules import Rule

START: Final = 29_459_520
"""The minute at which a test begins that does not say: Monday 2026-01-05T00:00Z."""
_KINDS: Final = MappingProxyType({kind.value: kind for kind in (Kind.COUNTER, Kind.HISTOGRAM)})
_STATES: Final = (Status.INACTIVE, Status.PENDING, Status.FIRING)


@dataclass(frozen=True, slots=True)
class Expected:
    """One tenant at one minute ("" is all together). None is what the test does not look at."""

    tenant: str
    state: Status
    value: float | None = None
    samples: int | None = None
    notified: bool | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """Whom a rule is to have pending or firing at a minute, counted from the start; whoever is left out is inactive."""

    place: str
    rule: str
    offset: int
    alerts: Sequence[Expected]


@dataclass(frozen=True, slots=True)
class Case:
    """One test: rules, series, checks."""

    name: str
    start: int
    rules: Mapping[str, Rule]
    series: Sequence[Written]
    checks: Sequence[Check]


def read(text: str, source: str, folder: Path) -> list[Case]:
    """The tests of a file; ``folder`` is where its ``rule_files`` are looked for.

    Raises RuleFileError with everything that is wrong with it, or with those.
    """
    value = document.load(text, source)
    readers = {"rule_files": typed.texts, "time_zone": _time_zone, "tests": _list}
    said, found = typed.record(value, readers, ("rule_files", "tests"), source)
    if found:
        raise RuleFileError(found)
    own = _rules(said["rule_files"], folder, said.get("time_zone"))
    cases: list[Case] = []
    for line, one in zip(document.lines(text, "tests"), said["tests"], strict=True):
        try:
            cases.append(_case(one, f"{source}:{line}", own))
        except RuleFileError as error:
            found += error.found
    if found:
        raise RuleFileError(found)
    return cases


def _rules(files: Sequence[str], folder: Path, time_zone: str | None) -> dict[str, Rule]:
    entries = rules.join([rules.read(document.text_of(folder / file), str(folder / file)) for file in files])
    definitions = (entry.rule.definition() for entry in entries)
    return {one.name: one if time_zone is None else replace(one, time_zone=time_zone) for one in definitions}


def _case(value: object, place: str, own: Mapping[str, Rule]) -> Case:
    readers = {"name": typed.text, "start": typed.minute, "input_series": _list, "alert_rule_test": _list}
    said, found = typed.record(value, readers, ("input_series", "alert_rule_test"), place)
    name, start = said.get("name", place), said.get("start", START)
    place = f"{place}: test {said['name']}" if "name" in said else place
    series = _each(said.get("input_series", ()), f"{place}: input_series", found, lambda one, at, n: _series(one, at, start, n))
    checks = _each(said.get("alert_rule_test", ()), f"{place}: alert_rule_test", found, lambda one, at, _: _check(one, at, own))
    if found:
        raise RuleFileError(found)
    return Case(name, start, own, series, checks)


def _series(value: object, place: str, start: int, number: int) -> Written:
    readers = {"series": typed.text, "values": _values, "kind": _choice(_KINDS)}
    said, found = typed.record(value, readers, ("series", "values"), place)
    if not found:
        try:
            kind = _KINDS[said.get("kind", Kind.HISTOGRAM.value)]
            return written.series(said["series"], said["values"], start, kind, number)
        except ValueError as error:
            found = [f"{place}: {error}"]
    raise RuleFileError(found)


def _check(value: object, place: str, own: Mapping[str, Rule]) -> Check:
    readers = {"eval_time": typed.minutes, "alertname": _choice(own), "exp_alerts": _list}
    said, found = typed.record(value, readers, ("eval_time", "alertname", "exp_alerts"), place)
    alerts = _each(said.get("exp_alerts", ()), f"{place}: exp_alerts", found, lambda one, at, _: _expected(one, at))
    tenants = [alert.tenant for alert in alerts]
    twice = sorted({tenant for tenant in tenants if tenants.count(tenant) > 1})
    found += [f"{place}: exp_alerts: {tenant or 'all tenants'} is there twice" for tenant in twice]
    if found:
        raise RuleFileError(found)
    return Check(place, said["alertname"], said["eval_time"], alerts)


def _expected(value: object, place: str) -> Expected:
    readers = {
        "tenant": typed.text,
        "state": _choice(_STATES),
        "value": typed.number,
        "samples": typed.whole,
        "notified": typed.flag,
    }
    said, found = typed.record(value, readers, (), place)
    if found:
        raise RuleFileError(found)
    return Expected(**{"tenant": "", **said, "state": Status(said.get("state", Status.FIRING))})


def _each(values: Sequence[Any], place: str, found: list[str], read: Callable[[Any, str, int], Any]) -> list[Any]:
    """Every entry of a list, read; what is wrong with one is added to what was found."""
    result = []
    for number, one in enumerate(values):
        try:
            result.append(read(one, f"{place} {number + 1}", number))
        except RuleFileError as error:
            found += error.found
    return result


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        msg = f"a list, not {typed.short(value)}"
        raise TypeError(msg)
    return value


def _values(value: object) -> str:
    # A single number is one to YAML.
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else typed.text(value)


def _choice(allowed: Sequence[str] | Mapping[str, Any]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if value not in list(allowed):
            msg = f"one of {', '.join(allowed) or 'nothing'}, not {typed.short(value)}"
            raise ValueError(msg)
        return str(value)

    return read


def _time_zone(value: object) -> str:
    try:
        return ZoneInfo(typed.text(value)).key
    except (KeyError, OSError) as error:
        msg = f"there is no time zone {value!r}"
        raise ValueError(msg) from error
