"""A rule as it was: what the audit says of its edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from apps.monitoring.alerts.formerly import ALWAYS
from apps.monitoring.alerts.judgings import When
from apps.monitoring.models import AlertRule, AuditEntry


@dataclass(frozen=True, slots=True)
class Edit:
    """Who changed which fields, when: name, before, after."""

    at: datetime
    by: str
    fields: list[tuple[str, Any, Any]]


@dataclass(frozen=True, slots=True)
class Version:
    """A rule between two edits, and since when."""

    since: datetime
    rule: AlertRule
    edit: Edit | None
    """What made it; None when nothing is known of that."""
    channels: frozenset[str]
    """The names of its own; none: every default channel."""
    is_made: bool = True
    """False: at the moment that was asked about nobody had made it yet."""

    @property
    def judges(self) -> bool:
        """Whether it judged anything."""
        return self.rule.enabled and self.is_made


def versions(rule: AlertRule) -> list[Version]:
    """Oldest first; the last one is the rule as it is. Edits that leave no entry, such as SQL, are not known."""
    entries = list(AuditEntry.objects.filter(kind=AuditEntry.Kind.RULE, object_id=rule.pk).order_by("at", "id"))
    found: list[Version] = []
    for entry in entries:
        edit = Edit(entry.at, entry.actor, entry.changes() if entry.action == AuditEntry.Action.CHANGED else [])
        if not found and entry.before is not None:
            found.append(Version(ALWAYS, _rule(rule, entry.before), None, _channels(entry.before)))
        after = entry.after or {}
        found.append(Version(entry.at, _rule(rule, after), edit, _channels(after)))
    channels = frozenset(rule.channels.values_list("name", flat=True))
    if not found:
        return [Version(ALWAYS, rule, None, channels)]
    return [*found[:-1], Version(found[-1].since, rule, found[-1].edit, channels)]


def at(found: Sequence[Version], when: When) -> Version:
    """The one that judged a minute.

    As long as it is not known when that was, it may have been long after the minute: what was made is as if it had always
    been there.
    """
    seen = [one for one in found if when.saw(one.since)]
    return seen[-1] if seen else replace(found[0], is_made=not when.is_known)


def _rule(now: AlertRule, fields: dict[str, Any]) -> AlertRule:
    names = {one.name for one in AlertRule._meta.concrete_fields}  # noqa: SLF001 - Django's public name
    return AlertRule(pk=now.pk, **{name: value for name, value in fields.items() if name in names})


def _channels(fields: dict[str, Any]) -> frozenset[str]:
    return frozenset(fields.get("channels") or ())
