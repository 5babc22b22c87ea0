"""Rules as code: what a file says of a rule, and what a rule looks like in a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from reprlib import Repr
from types import MappingProxyType
from typing import Any, Final

import yaml
from django.core.exceptions import ValidationError

from apps.monitoring.alerts.draft import check
from apps.monitoring.alerts.rulefile import document
from apps.monitoring.alerts.rulefile.errors import RuleFileError
from apps.monitoring.core import duration
from apps.monitoring.models import AlertRule

_WIDTH: Final = 120
_EXACT: Final = 2.0**53
_SHOWN: Final = Repr()
_SHOWN.maxlevel = 2


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


def _text(value: object) -> str:
    if not isinstance(value, str):
        msg = f"a text, not {_SHOWN.repr(value)}: put it in quotes"
        raise TypeError(msg)
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        msg = f"true or false, not {_SHOWN.repr(value)}"
        raise TypeError(msg)
    return value


def _number(value: object) -> float:
    if isinstance(value, str):
        # YAML 1.1 takes 1e3 for a text.
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"a finite number, not {_SHOWN.repr(value)}"
        raise ValueError(msg)
    return float(value)


def _maybe_number(value: object) -> float | None:
    return None if value is None else _number(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        msg = f"a whole number of at least 0, not {_SHOWN.repr(value)}"
        raise ValueError(msg)
    return value


def _minutes(value: object) -> int:
    return duration.parse(value) if isinstance(value, str) else _whole(value)


def _labels(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        msg = f"a mapping of texts, such as {{model: gpt-4o}}, not {_SHOWN.repr(value)}"
        raise TypeError(msg)
    return {_text(name): _text(label) for name, label in value.items()}


def _plain(value: float | None) -> float | int | None:
    """5000 rather than 5000.0."""
    return int(value) if value is not None and value.is_integer() and abs(value) < _EXACT else value


KEYS: Final[Mapping[str, _Key]] = MappingProxyType(
    {
        "name": _Key("name", _text),
        "description": _Key("description", _text),
        "enabled": _Key("enabled", _flag),
        "severity": _Key("severity", _text),
        "metric": _Key("metric", _text),
        "statistic": _Key("statistic", _text),
        "operator": _Key("operator", _text),
        "threshold": _Key("threshold", _number, _plain),
        "recovery_threshold": _Key("recovery_threshold", _maybe_number, _plain),
        "window": _Key("window_minutes", _minutes, duration.spell),
        "change_against": _Key("change_against", _text),
        "budget": _Key("budget", _text),
        "for": _Key("for_minutes", _minutes, duration.spell),
        "keep_firing_for": _Key("keep_firing_for_minutes", _minutes, duration.spell),
        "min_samples": _Key("min_samples", _whole),
        "no_data": _Key("no_data", _text),
        "scope": _Key("scope", _text),
        "tenant": _Key("tenant", _text),
        "label_filter": _Key("label_filter", _labels),
        "cooldown": _Key("cooldown_minutes", _minutes, duration.spell),
        "message_template": _Key("message_template", _text),
        "runbook": _Key("runbook_url", _text),
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
        raise RuleFileError([*found, f"{source}: rules is a list of rules, not {_SHOWN.repr(listed)}"])
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
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=_WIDTH)


def _entry(value: object, place: str) -> Entry:
    if not isinstance(value, dict):
        raise RuleFileError([f"{place}: a rule is a mapping, not {_SHOWN.repr(value)}"])
    name = value.get("name")
    place = f"{place}: rule {name}" if isinstance(name, str) and name else place
    unknown = [name for name in value if name not in KEYS and name != "channels"]
    found = [f"{place}: {name}: there is no such key: {', '.join([*KEYS, 'channels'])}" for name in unknown]
    found += [f"{place}: {name}: this is missing" for name in NEEDED if name not in value]
    rule = AlertRule()
    for name, key in KEYS.items():
        if name in value:
            try:
                setattr(rule, key.field, key.read(value[name]))
            except (TypeError, ValueError, OverflowError) as error:
                found.append(f"{place}: {name}: {error}")
    channels = value.get("channels", [])
    if not isinstance(channels, list) or not all(isinstance(channel, str) for channel in channels):
        found.append(f"{place}: channels: a list of names, not {_SHOWN.repr(channels)}")
    if not found:
        found += _unsound(rule, place)
    if found:
        raise RuleFileError(found)
    return Entry(rule, tuple(sorted(set(channels))), place)


def _unsound(rule: AlertRule, place: str) -> list[str]:
    try:
        rule.clean_fields(exclude=["error", "error_since"])
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
