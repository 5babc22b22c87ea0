"""`manage.py backtest`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandParser
from tqdm import tqdm

from apps.monitoring.alerts.backtest import as_json, judged, span
from apps.monitoring.alerts.draft import draft
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.management import rule_options
from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query import window


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
        parser.add_argument("--last", help="a range that ends now: 1d, 7d (default: 1d)")
        parser.add_argument("--from", dest="frm", metavar="ISO8601", help="start of the range, included")
        parser.add_argument("--to", metavar="ISO8601", help="end of the range, not included (default: now)")

    def run(self, **options: Any) -> dict[str, Any]:
        """Read and judge."""
        last = options["last"] or (None if options["frm"] or options["to"] else "1d")
        start, end = window.parse(last, options["frm"], options["to"], datetime.now(UTC))
        rule = draft(options["rule"], rule_options.given(options)).definition()
        over = span(rule, start, end)
        steps = tqdm(Sweep(rule, over.start, over.end), desc=rule.name, unit=" steps", disable=None, leave=False)
        return as_json(judged(rule, steps, over), over)

    def lines(self, result: dict[str, Any]) -> list[str]:
        """One line a tenant, and one for all."""
        return [
            f"{result['rule']} from {result['from']} to {result['to']}",
            *(f"  {one['tenant'] or 'all tenants'}: {one['summary']}" for one in result["instances"]),
            result["summary"],
        ]
