"""`manage.py rotate_secrets`."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.models import Channel
from apps.monitoring.models.encrypted import SecretUnreadableError


class Command(MonitoringCommand):
    """Write every channel's secrets anew under the first key."""

    help = (
        "Encrypt the secrets of every channel with the first key of MONITORING_ENCRYPTION_KEYS. Afterwards the other keys "
        "can be removed. Exit code 1 when secrets cannot be read: they are left as they are."
    )

    def run(self, **_: Any) -> dict[str, Any]:
        """One channel at a time, so that one that cannot be read stops no other."""
        rotated: list[str] = []
        unreadable: list[str] = []
        for pk, name in Channel.objects.order_by("name").values_list("pk", "name"):
            try:
                with transaction.atomic():
                    channel = Channel.objects.select_for_update().filter(pk=pk).first()
                    if channel is not None:
                        channel.save(update_fields=["secrets"])
                        rotated.append(name)
            except SecretUnreadableError:
                unreadable.append(name)
        return {"rotated": rotated, "unreadable": unreadable}

    def lines(self, result: dict[str, Any]) -> list[str]:
        """Names."""
        return super().lines({name: ", ".join(names) or "none" for name, names in result.items()})

    def exit_code(self, result: dict[str, Any]) -> int:
        """1 when something is still under a key that is not there."""
        return 1 if result["unreadable"] else 0
