"""Make the stored rules those of a file: all of them or none."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import transaction

from apps.monitoring.alerts.rulefile.errors import RuleFileError
from apps.monitoring.alerts.rulefile.rules import KEYS, Entry, dump, written
from apps.monitoring.models import AlertRule, Channel
from apps.monitoring.rollup import locks


class Kind(StrEnum):
    """What becomes of a rule."""

    CREATED = "created"
    CHANGED = "changed"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Change:
    """One rule that is not as the file has it. ``diff`` are the lines of a unified diff, from what is stored."""

    name: str
    kind: Kind
    diff: tuple[str, ...]


def stored(names: Sequence[str] = ()) -> list[dict[str, Any]]:
    """The stored rules as a file has them, by name; without names every rule."""
    rules = AlertRule.objects.filter(name__in=names) if names else AlertRule.objects.all()
    return [written(rule, _channels(rule)) for rule in rules.order_by("name")]


def apply(entries: Sequence[Entry], *, prune: bool = False, dry_run: bool = False) -> list[Change]:
    """Create and change rules until they are those of the entries; with ``prune`` delete the others.

    A rule is the whole of what its entry says: what it leaves out has its default. Raises RuleFileError when a channel
    is missing, and ValidationError.
    """
    with transaction.atomic():
        # Before the rows: a deletion asks for both, too, while the evaluation or a sweep may wait for a row.
        locks.judging()
        locks.telling()
        existing = {rule.name: rule for rule in AlertRule.objects.select_for_update().order_by("pk")}
        channels = dict(Channel.objects.values_list("name", "pk"))
        _check_channels(entries, channels)
        changes = list(_changes(entries, existing, prune=prune))
        if not dry_run:
            wanted = {entry.rule.name: entry for entry in entries}
            for change in changes:
                if change.kind is Kind.DELETED:
                    existing[change.name].delete()
                else:
                    _save(wanted[change.name], existing.get(change.name), channels)
    return changes


def _check_channels(entries: Sequence[Entry], channels: dict[str, int]) -> None:
    known = ", ".join(sorted(channels)) or "none"
    found = [
        f"{entry.place}: channels: there is no channel {name!r}; there are: {known}"
        for entry in entries
        for name in entry.channels
        if name not in channels
    ]
    if found:
        raise RuleFileError(found)


def _changes(entries: Sequence[Entry], existing: dict[str, AlertRule], *, prune: bool) -> Iterator[Change]:
    for entry in entries:
        name = entry.rule.name
        old = existing.get(name)
        before = None if old is None else written(old, _channels(old))
        after = written(entry.rule, entry.channels)
        if before is None:
            yield Change(name, Kind.CREATED, _diff(name, {}, after))
        elif before != after:
            yield Change(name, Kind.CHANGED, _diff(name, before, after))
    if prune:
        kept = {entry.rule.name for entry in entries}
        for name in sorted(set(existing) - kept):
            yield Change(name, Kind.DELETED, _diff(name, written(existing[name], _channels(existing[name])), {}))


def _save(entry: Entry, old: AlertRule | None, channels: dict[str, int]) -> None:
    rule = entry.rule if old is None else old
    for key in KEYS.values():
        setattr(rule, key.field, getattr(entry.rule, key.field))
    rule.save()
    rule.channels.set([channels[name] for name in entry.channels])


def _channels(rule: AlertRule) -> list[str]:
    return list(rule.channels.values_list("name", flat=True))


def _diff(name: str, before: dict[str, Any], after: dict[str, Any]) -> tuple[str, ...]:
    old, new = (dump([one]).splitlines() if one else [] for one in (before, after))
    here, there = (f"{name} ({label})" if one else "/dev/null" for one, label in ((before, "stored"), (after, "file")))
    return tuple(difflib.unified_diff(old, new, here, there, lineterm=""))
