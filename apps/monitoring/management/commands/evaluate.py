"""`manage.py evaluate`."""

from __future__ import annotations

import time
from typing import Any

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.core.clock import isoformat
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.runs import track


class Command(MonitoringCommand):
    """Evaluate every rule up to the last complete minute, now."""

    help = "Evaluate every rule up to the last complete minute, now, in this process. Safe beside running workers."

    def run(self, **_: Any) -> dict[str, Any]:
        """Catch up."""
        with track("evaluate"):
            report = evaluate(time.time())
        return {
            "minutes": report.minutes,
            "transitions": report.transitions,
            "evaluated_until": None if report.until is None else isoformat(report.until),
            "busy": report.busy,
        }
