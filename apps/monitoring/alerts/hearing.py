"""Whether a rule had a channel that is enabled, then: what the audit says of channels, and of which ones the rule named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from apps.monitoring.alerts.versions import BEGINNING, Version, first_minute
from apps.monitoring.models import AuditEntry, Channel

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Since:
    """How a channel was from a minute on; None: there was none."""

    minute: int
    fields: Fields | None


class Hearing:
    """The channels through time. One of which nothing is known was always as it is."""

    def __init__(self) -> None:
        self._channels: dict[int, list[_Since]] = {
            pk: [_Since(BEGINNING, {"name": name, "enabled": enabled, "is_default": default})]
            for pk, name, enabled, default in Channel.objects.values_list("pk", "name", "enabled", "is_default")
        }
        for pk, entries in _edits().items():
            self._channels[pk] = _through_time(entries)

    def heard(self, version: Version, minute: int) -> bool:
        """As `outbox.heard` would have said in the minute."""
        there = [one for one in (_at(known, minute) for known in self._channels.values()) if one is not None]
        own = [one for one in there if one["name"] in version.channels]
        return any(one["enabled"] for one in own) if own else any(one["enabled"] and one["is_default"] for one in there)


def _edits() -> dict[int, list[AuditEntry]]:
    found: dict[int, list[AuditEntry]] = {}
    for entry in AuditEntry.objects.filter(kind=AuditEntry.Kind.CHANNEL).order_by("at", "id"):
        found.setdefault(entry.object_id, []).append(entry)
    return found


def _through_time(entries: Sequence[AuditEntry]) -> list[_Since]:
    """As with a rule, minutes may be judged long after they ended: what was made is as if it had always been there."""
    first = entries[0]
    begun = _Since(BEGINNING, first.after if first.before is None else first.before)
    return [begun, *(_Since(first_minute(entry.at), entry.after) for entry in entries if entry.before is not None)]


def _at(known: Sequence[_Since], minute: int) -> Fields | None:
    return [one for one in known if one.minute <= minute][-1].fields
