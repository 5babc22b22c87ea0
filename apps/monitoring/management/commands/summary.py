"""`manage.py summary`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from django.core.management.base import CommandParser

from apps.monitoring.management.command import MonitoringCommand
from apps.monitoring.query import window
from apps.monitoring.query.summary import summary


class Command(MonitoringCommand):
    """The summary of a tenant, or of all."""

    help = "Print the summary of a tenant (or of all tenants together) over a range of time, live to the second, as JSON."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which tenant and which range."""
        super().add_arguments(parser)
        parser.add_argument("--tenant", help="the tenant; without it all tenants together")
        parser.add_argument("--window", help="a range that ends now: 15m, 1h, 7d (default: 1h)")
        parser.add_argument("--from", dest="frm", metavar="ISO8601", help="start of the range, included")
        parser.add_argument("--to", metavar="ISO8601", help="end of the range, not included (default: now)")

    def run(self, **options: Any) -> dict[str, Any]:
        """Read."""
        start, end = window.parse(options["window"], options["frm"], options["to"], datetime.now(UTC))
        return summary(options["tenant"], start, end)

    def lines(self, result: dict[str, Any]) -> list[str]:
        """JSON for people too: it is what the API gives."""
        return [orjson.dumps(result, option=orjson.OPT_INDENT_2).decode()]
