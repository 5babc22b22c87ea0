"""`manage.py suggest_threshold`."""

from __future__ import annotations

from typing import Any, Final

from django.core.management.base import CommandParser
from tqdm import tqdm

from apps.monitoring.alerts.suggest import as_json, suggest
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.management import rule_options
from apps.monitoring.management.command import MonitoringCommand

_LAST: Final = "14d"


class Command(MonitoringCommand):
    """A threshold from the data."""

    help = (
        "Suggest a threshold for a rule: the one with which all tenants together would have had as many alerts a week as "
        "wished, found by backtests over stored data. Changes nothing. Exit code 1 when the data do not suffice."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Which rule, which range, and how many."""
        super().add_arguments(parser)
        rule_options.add(parser)
        rule_options.add_range(parser, _LAST)
        parser.add_argument("--alerts-per-week", type=float, required=True, help="of all tenants together")

    def run(self, **options: Any) -> dict[str, Any]:
        """Read and try."""
        rule, over = rule_options.read(options, _LAST)
        steps = tqdm(Sweep(rule, over.start, over.end), desc=rule.name, unit=" steps", disable=None, leave=False)
        wish = options["alerts_per_week"]
        return as_json(rule, over, wish, suggest(rule, steps, wish))

    def lines(self, result: dict[str, Any]) -> list[str]:
        """The threshold, what would come of it, and what it was computed from."""
        basis = result["computed_from"]
        found = "no threshold" if result["threshold"] is None else f"{result['threshold']:g} {result['unit']}".strip()
        seen = f"{basis['values']:,} values of {basis['tenants']:,} tenants over {basis['minutes']:,} minutes"
        return [
            f"{result['rule']}: {found}, {result['reason']}",
            f"computed from {seen}, {basis['tried']} thresholds tried",
        ]

    def exit_code(self, result: dict[str, Any]) -> int:
        """1 when the data do not suffice."""
        return 1 if result["threshold"] is None else 0
