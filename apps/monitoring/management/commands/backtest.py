"""`manage.py backtest`."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandParser
from tqdm import tqdm

from apps.monitoring.alerts.backtest import as_json, judged
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.management import rule_options
from apps.monitoring.management.command import MonitoringCommand

_LAST: Final = "1d"


class Command(MonitoringCommand):
    """What a rule would have done."""

    help = (
        "Print what a rule would have done on stored data, judged by the same function that evaluates. "
        "Writes nothing, notifies nobody. The rule begins calm at --from."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which rule, which range, and what is to be different."""
        super().add_arguments(parser)
        rule_options.add(parser)
        rule_options.add_range(parser, _LAST)

    def run(self, **options: Any) -> dict[str, Any]:
        """Read and judge."""
        rule, over = rule_options.read(options, _LAST)
        steps = tqdm(Sweep(rule, over.start, over.end), desc=rule.name, unit=" steps", disable=None, leave=False)
        return as_json(judged(rule, steps, over), over)

    def lines(self, result: dict[str, Any]) -> list[str]:
        """One line a tenant, and one for all."""
        return [
            f"{result['rule']} from {result['from']} to {result['to']}",
            *(f"  {one['tenant'] or 'all tenants'}: {one['summary']}" for one in result["instances"]),
            result["summary"],
        ]
