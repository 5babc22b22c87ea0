"""`manage.py explain`."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from apps.monitoring.alerts import explanation
from apps.monitoring.alerts.explain import explain, named
from apps.monitoring.core.clock import to_minute
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query import window


class Command(MonitoringCommand):
    """Why a rule did or did not notify."""

    help = (
        "Explain what a rule saw of a tenant in one minute, and why it did or did not notify: judged anew by the function that "
        "evaluates, beside what the history says. Changes nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which rule, whom, when."""
        super().add_arguments(parser)
        parser.add_argument("rule", help="the name of a rule")
        parser.add_argument("--tenant", help="whom; not of a rule that judges all together or one alone")
        parser.add_argument("--at", metavar="ISO8601", required=True, help="the minute, as in the history: by its start")

    def run(self, **options: Any) -> dict[str, Any]:
        """Ask."""
        minute = to_minute(window.moment(options["at"], "--at"))
        return explanation.as_json(explain(named(options["rule"]), options["tenant"], minute))

    def lines(self, result: dict[str, Any]) -> list[str]:
        """The answer first, then how it came about."""
        whom = result["tenant"] or "all tenants"
        return [
            f"{result['rule']} for {whom} in {result['minute']}",
            result["conclusion"],
            *(f"{number:>3}. {step}" for number, step in enumerate(result["steps"], 1)),
            *(f"     {remark}" for remark in result["remarks"]),
        ]
