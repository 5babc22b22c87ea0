"""Whether a rule had a channel that is enabled, then: what the audit says of channels, and of which ones the rule named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from apps.monitoring.alerts.judgings import When
from apps.monitoring.alerts.versions import ALWAYS, Version
from apps.monitoring.models import AuditEntry, Channel

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Since:
    """How a channel was from a moment on; None: there was none."""

    at: datetime
    fields: Fields | None


class Hearing:
    """The channels through time. One of which nothing is known was always as it is."""

    def __init__(self) -> None:
        self._channels: dict[int, list[_Since]] = {
            pk: [_Since(ALWAYS, {"name": name, "enabled": enabled, "is_default": default})]
            for pk, name, enabled, default in Channel.objects.values_list("pk", "name", "enabled", "is_default")
        }
        for pk, entries in _edits().items():
            self._channels[pk] = _through_time(entries)

    def heard(self, version: Version, when: When) -> bool:
        """As `outbox.heard` said when a minute was judged."""
        there = [one for one in (_at(known, when) for known in self._channels.values()) if one is not None]
        own = [one for one in there if one["name"] in version.channels]
        return any(one["enabled"] for one in own) if own else any(one["enabled"] and one["is_default"] for one in there)


def _edits() -> dict[int, list[AuditEntry]]:
    found: dict[int, list[AuditEntry]] = {}
    for entry in AuditEntry.objects.filter(kind=AuditEntry.Kind.CHANNEL).order_by("at", "id"):
        found.setdefault(entry.object_id, []).append(entry)
    return found


def _through_time(entries: Sequence[AuditEntry]) -> list[_Since]:
    """Before the first entry it was as that says, or was not there."""
    return [_Since(ALWAYS, entries[0].before), *(_Since(entry.at, entry.after) for entry in entries)]


def _at(known: Sequence[_Since], when: When) -> Fields | None:
    """As with a rule: while it is not known when a minute was judged, what was made is as if it had always been there."""
    seen = [one for one in known if when.saw(one.at)]
    if len(seen) == 1 and seen[0].fields is None and not when.is_known:
        return known[1].fields
    return seen[-1].fields
