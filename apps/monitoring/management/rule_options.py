"""The options of commands that try out a rule with other values than it is saved with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson
from django.core.management.base import CommandError, CommandParser

from apps.monitoring.alerts.backtest import Span, span
from apps.monitoring.alerts.draft import draft
from apps.monitoring.core import duration
from apps.monitoring.core.period import Period
from apps.monitoring.core.rules import Earlier, NoData, Operator, Rule, Scope, Statistic
from apps.monitoring.query import window


def add(parser: CommandParser) -> None:
    """A rule, and what is to be different about it."""
    parser.add_argument(
        "rule", help="the name of a rule; of one that is not saved give --metric --statistic --operator --threshold"
    )
    other = parser.add_argument_group("other values than the saved ones", "Stretches of time are minutes: 10, 10m, 2h, 1d.")
    other.add_argument("--metric")
    other.add_argument("--statistic", choices=list(Statistic))
    other.add_argument("--operator", choices=list(Operator))
    other.add_argument("--threshold", type=float)
    other.add_argument("--recovery-threshold", type=float)
    other.add_argument("--window", dest="window_minutes", type=_minutes, metavar="MINUTES")
    other.add_argument("--change-against", choices=list(Earlier))
    other.add_argument("--budget", choices=list(Period))
    other.add_argument("--for", dest="for_minutes", type=_minutes, metavar="MINUTES")
    other.add_argument("--keep-firing-for", dest="keep_firing_for_minutes", type=_minutes, metavar="MINUTES")
    other.add_argument("--cooldown", dest="cooldown_minutes", type=_minutes, metavar="MINUTES")
    other.add_argument("--min-samples", type=int)
    other.add_argument("--no-data", choices=list(NoData))
    other.add_argument("--scope", choices=list(Scope))
    other.add_argument("--tenant", help="only this tenant")
    other.add_argument("--label-filter", type=_labels, metavar="JSON", help='such as {"model": "gpt-4o"}')


_FIELDS: Final = (
    "metric", "statistic", "operator", "threshold", "recovery_threshold", "window_minutes", "for_minutes",
    "keep_firing_for_minutes", "cooldown_minutes", "min_samples", "no_data", "scope", "tenant", "label_filter",
    "change_against", "budget",
)  # fmt: skip


def add_range(parser: CommandParser, last: str) -> None:
    """Over which minutes."""
    parser.add_argument("--last", help=f"a range that ends now: 1d, 7d (default: {last})")
    parser.add_argument("--from", dest="frm", metavar="ISO8601", help="start of the range, included")
    parser.add_argument("--to", metavar="ISO8601", help="end of the range, not included (default: now)")


def read(options: dict[str, Any], last: str) -> tuple[Rule, Span]:
    """The rule and the minutes. Raises ValidationError and RangeError with what is wrong about them."""
    lasting = options["last"] or (None if options["frm"] or options["to"] else last)
    start, end = window.parse(lasting, options["frm"], options["to"], datetime.now(UTC))
    rule = draft(options["rule"], _given(options)).definition()
    return rule, span(rule, start, end)


def _given(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of the rule that the options change."""
    return {field: options[field] for field in _FIELDS if options[field] is not None}


def _minutes(text: str) -> int:
    try:
        return duration.parse(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def _labels(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        msg = f'--label-filter is a JSON object such as {{"model": "gpt-4o"}}, not {text!r}'
        raise CommandError(msg) from error
