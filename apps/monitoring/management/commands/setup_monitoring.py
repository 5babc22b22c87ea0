"""`manage.py setup_monitoring`."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.monitoring import schedules
from apps.monitoring.alerts import defaults
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.notify.defaults import create_missing_channels


class Command(MonitoringCommand):
    """Create what every installation starts with."""

    help = "Create the default rules, channels and beat schedules that are missing. Never overwrites what ops edited."

    def run(self, **_: Any) -> dict[str, Any]:
        """Create what is missing."""
        with transaction.atomic():
            return {
                "channels_created": create_missing_channels(),
                "rules_created": defaults.create_missing(),
                "schedules_created": schedules.create_missing(),
            }

    def lines(self, result: dict[str, Any]) -> list[str]:
        """Names."""
        return super().lines({name: ", ".join(made) or "none missing" for name, made in result.items()})
