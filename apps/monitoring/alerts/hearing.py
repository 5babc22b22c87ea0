"""Whether a rule had a channel that is enabled, then: what the audit says of channels, and of which ones the rule named."""

from __future__ import annotations

from apps.monitoring.alerts.formerly import Fields, Formerly
from apps.monitoring.alerts.judgings import When
from apps.monitoring.alerts.versions import Version
from apps.monitoring.models import AuditEntry, Channel


class Hearing:
    """The channels through time."""

    def __init__(self) -> None:
        now: dict[int, Fields] = {
            pk: {"name": name, "enabled": enabled, "is_default": default}
            for pk, name, enabled, default in Channel.objects.values_list("pk", "name", "enabled", "is_default")
        }
        entries = AuditEntry.objects.filter(kind=AuditEntry.Kind.CHANNEL).order_by("at", "id")
        self._channels = Formerly(now, entries, lambda _, fields: fields)

    def heard(self, version: Version, when: When) -> bool:
        """Whether `outbox.channels_of` found one when a minute was judged."""
        there = self._channels.at(when).values()
        own = [one for one in there if one["name"] in version.channels]
        return any(one["enabled"] for one in own) if own else any(one["enabled"] and one["is_default"] for one in there)
