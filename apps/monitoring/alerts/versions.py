"""A rule as it was: what the audit says of its edits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import minute_of
from apps.monitoring.models import AlertRule, AuditEntry

BEGINNING: Final = 0
"""The first minute of what is as old as anything that is known."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Who changed which fields, when: name, before, after."""

    at: datetime
    by: str
    fields: list[tuple[str, Any, Any]]


@dataclass(frozen=True, slots=True)
class Version:
    """A rule between two edits, and the first minute that was judged with it, unless it was judged late."""

    since: int
    rule: AlertRule
    edit: Edit | None
    """What made it; None when nothing is known of that."""
    channels: frozenset[str]
    """The names of its own; none: every default channel."""


def versions(rule: AlertRule) -> list[Version]:
    """Oldest first; the last one is the rule as it is. Edits that leave no entry, such as SQL, are not known."""
    entries = list(AuditEntry.objects.filter(kind=AuditEntry.Kind.RULE, object_id=rule.pk).order_by("at", "id"))
    found: list[Version] = []
    for entry in entries:
        edit = Edit(entry.at, entry.actor, entry.changes() if entry.action == AuditEntry.Action.CHANGED else [])
        if not found and entry.before is not None:
            found.append(Version(BEGINNING, _rule(rule, entry.before), None, _channels(entry.before)))
        after = entry.after or {}
        found.append(Version(first_minute(entry.at) if found else BEGINNING, _rule(rule, after), edit, _channels(after)))
    channels = frozenset(rule.channels.values_list("name", flat=True))
    if not found:
        return [Version(BEGINNING, rule, None, channels)]
    return [*found[:-1], Version(found[-1].since, rule, found[-1].edit, channels)]


def at(found: Sequence[Version], minute: int) -> Version:
    """The one that judged a minute."""
    return [one for one in found if one.since <= minute][-1]


def first_minute(edited: datetime) -> int:
    """The first one that was judged after an edit: a minute is when the grace after its end is over."""
    return minute_of(edited.timestamp() - conf().grace_seconds)


def _rule(now: AlertRule, fields: dict[str, Any]) -> AlertRule:
    names = {one.name for one in AlertRule._meta.concrete_fields}  # noqa: SLF001 - Django's public name
    return AlertRule(pk=now.pk, **{name: value for name, value in fields.items() if name in names})


def _channels(fields: dict[str, Any]) -> frozenset[str]:
    return frozenset(fields.get("channels") or ())
