"""What a rule would have done: its timeline over stored minutes. Nothing is written, nobody is told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.conf import conf
from apps.monitoring.core.clock import isoformat, to_minute
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.period import Period, bounds
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.rules import Rule, Statistic, stretch
from apps.monitoring.core.timeline import Line, Tally, Timeline
from apps.monitoring.query.errors import RangeError
from apps.monitoring.query.source import watermark
from apps.monitoring.rollup import floors


@dataclass(frozen=True, slots=True)
class Span:
    """The minutes ``[start, end)`` that a backtest looks at."""

    start: int
    end: int

    @property
    def minutes(self) -> int:
        """How many."""
        return self.end - self.start


def span(rule: Rule, start: datetime, end: datetime) -> Span:
    """The complete minutes of a range, each with its whole window still kept as minutes.

    Raises RangeError when there is none, or when the range begins before what is kept.
    """
    until = watermark(conf().shards)
    if until is None:
        msg = "no minute is rolled up yet: there is nothing to test against"
        raise RangeError(msg)
    found = Span(to_minute(start), min(to_minute(end), until))
    if found.minutes < 1:
        msg = f"no minute of the range is complete: minutes are complete until {isoformat(until)}"
        raise RangeError(msg)
    first = earliest(rule)
    if found.start < first:
        msg = f"a backtest of a rule on {stretch(rule)} can begin at {isoformat(first)}: older minutes are not kept"
        raise RangeError(msg)
    return found


def earliest(rule: Rule) -> int:
    """The first minute of which everything that the rule looks at is kept as minutes."""
    floor = floors.read().get(Resolution.MINUTE, 0)
    if not floor:
        return 0
    first = floor + rule.window - 1 + rule.offset
    if not rule.budget:
        return first
    start, after = bounds(Period(rule.budget), floor, rule.time_zone)
    return max(first if rule.statistic == Statistic.FORECAST else floor, floor if start == floor else after)


def backtest(rule: Rule, over: Span) -> Timeline:
    """Everything that the rule would have done, by the function that evaluates."""
    return judged(rule, Sweep(rule, over.start, over.end), over)


def judged(rule: Rule, frames: Iterable[Frame], over: Span) -> Timeline:
    """The same of frames that somebody counts on their way."""
    timeline = Timeline(rule, end=over.end)
    for frame in frames:
        timeline.show(frame)
    return timeline


def as_json(timeline: Timeline, over: Span) -> dict[str, Any]:
    """The timeline as machines read it: transitions as in the history of real alerts. Tenant None is all together."""
    return {
        "rule": timeline.rule.name,
        "from": isoformat(over.start),
        "to": isoformat(over.end),
        "instances": [
            {
                "tenant": tenant or None,
                "transitions": [_line(line) for line in lines if line.changed],
                "reminders": [_line(line) for line in lines if not line.changed],
                **summary(timeline.tally(tenant)),
            }
            for tenant, lines in sorted(timeline.lines.items())
        ],
        **summary(timeline.total()),
    }


def _line(line: Line) -> dict[str, Any]:
    return {
        "minute": isoformat(line.minute),
        "state": line.state.value,
        "value": line.value,
        "samples": line.samples,
        "notified": line.notice is not None,
        "reason": line.reason,
    }


def summary(tally: Tally) -> dict[str, Any]:
    """What a timeline comes to, in numbers and in words."""
    return {**asdict(tally), "summary": str(tally)}
