"""`manage.py monitoring_status`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.template.defaultfilters import filesizeformat

from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.status import status


class Command(MonitoringCommand):
    """Whether the monitoring itself works."""

    help = "Show lag, backlog, the last run of each task, undelivered notifications and losses. Exit code 1 when unhealthy."

    def run(self, **_: Any) -> dict[str, Any]:
        """Look."""
        found = status(datetime.now(UTC))
        return {"healthy": found.healthy, "problems": found.problems, **found.details}

    def lines(self, result: dict[str, Any]) -> list[str]:
        """The verdict first, then each part."""
        verdict = "healthy" if result["healthy"] else "UNHEALTHY"
        parts = [
            f"{part.replace('_', ' ')}\n"
            + "\n".join(f"  {name.replace('_', ' ')}: {_shown(value, name)}" for name, value in values.items())
            for part, values in result.items()
            if isinstance(values, dict)
        ]
        return [verdict, *(f"  ! {problem}" for problem in result["problems"]), *parts]

    def exit_code(self, result: dict[str, Any]) -> int:
        """1 when unhealthy."""
        return 0 if result["healthy"] else 1


def _shown(value: object, name: str = "") -> object:
    if value is None or value in ([], {}, ""):
        return "-"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_shown(inner, name)}" for name, inner in value.items())
    if name.endswith("bytes") and isinstance(value, int):
        return filesizeformat(value).replace("\xa0", " ")
    return value
