"""Rules as code: what a file says of a rule, and what a rule looks like in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import yaml
from django.core.exceptions import ValidationError

from apps.monitoring.alerts.draft import check
from apps.monitoring.alerts.rulefile import document, typed
from apps.monitoring.alerts.rulefile.errors import RuleFileError
from apps.monitoring.core import duration
from apps.monitoring.models import AlertRule

_WIDTH: Final = 120
_BREAKS: Final = frozenset("\x85\u2028\u2029")
_EXACT: Final = 2.0**53


@dataclass(frozen=True, slots=True)
class Entry:
    """A rule as a file has it: not saved, but sound. ``channels`` are names; none is every default channel."""

    rule: AlertRule
    channels: tuple[str, ...]
    place: str
    """File, line and name, for messages."""


@dataclass(frozen=True, slots=True)
class _Key:
    """Which field of the rule a key is, and how its value is read and written. ``read`` raises TypeError or ValueError."""

    field: str
    read: Callable[[object], Any]
    write: Callable[[Any], Any] = lambda value: value


def _plain(value: float | None) -> float | int | None:
    """5000 rather than 5000.0."""
    return int(value) if value is not None and value.is_integer() and abs(value) < _EXACT else value


KEYS: Final[Mapping[str, _Key]] = MappingProxyType(
    {
        "name": _Key("name", typed.text),
        "description": _Key("description", typed.text),
        "enabled": _Key("enabled", typed.flag),
        "severity": _Key("severity", typed.text),
        "metric": _Key("metric", typed.text),
        "statistic": _Key("statistic", typed.text),
        "operator": _Key("operator", typed.text),
        "threshold": _Key("threshold", typed.number, _plain),
        "recovery_threshold": _Key("recovery_threshold", typed.maybe_number, _plain),
        "window": _Key("window_minutes", typed.minutes, duration.spell),
        "change_against": _Key("change_against", typed.text),
        "budget": _Key("budget", typed.text),
        "for": _Key("for_minutes", typed.minutes, duration.spell),
        "keep_firing_for": _Key("keep_firing_for_minutes", typed.minutes, duration.spell),
        "min_samples": _Key("min_samples", typed.whole),
        "no_data": _Key("no_data", typed.text),
        "scope": _Key("scope", typed.text),
        "tenant": _Key("tenant", typed.text),
        "label_filter": _Key("label_filter", typed.labels),
        "cooldown": _Key("cooldown_minutes", typed.minutes, duration.spell),
        "message_template": _Key("message_template", typed.text),
        "runbook": _Key("runbook_url", typed.text),
    }
)
"""Every key but ``channels``, in the order in which they are written."""
NEEDED: Final = ("name", "metric", "statistic", "operator", "threshold")
"""What a rule has to say; the rest has defaults."""
_BY_FIELD: Final = MappingProxyType({key.field: name for name, key in KEYS.items()})


def read(text: str, source: str) -> list[Entry]:
    """The rules of a file. Raises RuleFileError with everything that is wrong with it."""
    value = document.load(text, source)
    found = [f"{source}: there is no {name!r} in a file of rules, only rules" for name in value if name != "rules"]
    listed = value.get("rules")
    if not isinstance(listed, list):
        raise RuleFileError([*found, f"{source}: rules is a list of rules, not {typed.short(listed)}"])
    entries: list[Entry] = []
    for line, one in zip(document.lines(text, "rules"), listed, strict=True):
        try:
            entries.append(_entry(one, f"{source}:{line}"))
        except RuleFileError as error:
            found += error.found
    found += _twice(entries)
    if found:
        raise RuleFileError(found)
    return entries


def join(files: Iterable[list[Entry]]) -> list[Entry]:
    """The rules of several files as those of one. Raises RuleFileError when two have the same name."""
    entries = [entry for file in files for entry in file]
    found = _twice(entries)
    if found:
        raise RuleFileError(found)
    return entries


def written(rule: AlertRule, channels: Iterable[str]) -> dict[str, Any]:
    """The rule as a file has it: what it needs to say, and what differs from the defaults."""
    default = AlertRule()
    found: dict[str, Any] = {}
    for name, key in KEYS.items():
        value = getattr(rule, key.field)
        if name in NEEDED or value != getattr(default, key.field):
            found[name] = key.write(value)
    names = sorted(channels)
    return {**found, "channels": names} if names else found


def dump(value: object) -> str:
    """YAML that `document.load` reads back."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_WIDTH)
    # YAML takes these for the end of a line, and reads a space; escaped they are what they are.
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=_WIDTH) if _BREAKS & set(text) else text


def _entry(value: object, place: str) -> Entry:
    name = value.get("name") if isinstance(value, dict) else None
    place = f"{place}: rule {name}" if isinstance(name, str) and name else place
    readers = {name: key.read for name, key in KEYS.items()}
    said, found = typed.record(value, readers | {"channels": typed.texts}, NEEDED, place)
    rule = AlertRule()
    for key in said.keys() & KEYS.keys():
        setattr(rule, KEYS[key].field, said[key])
    if not found:
        found = _unsound(rule, place)
    if found:
        raise RuleFileError(found)
    return Entry(rule, tuple(sorted(set(said.get("channels", ())))), place)


def _unsound(rule: AlertRule, place: str) -> list[str]:
    try:
        rule.clean_fields(exclude=["error", "error_since", "exhausted_at"])
        check(rule)
    except ValidationError as error:
        return [
            f"{place}: {_BY_FIELD.get(field, field)}: {message}"
            for field, messages in error.message_dict.items()
            for message in messages
        ]
    return []


def _twice(entries: Iterable[Entry]) -> list[str]:
    first: dict[str, str] = {}
    found: list[str] = []
    for entry in entries:
        if entry.rule.name in first:
            found.append(f"{entry.place}: name: the rule is there already: {first[entry.rule.name]}")
        first.setdefault(entry.rule.name, entry.place)
    return found
