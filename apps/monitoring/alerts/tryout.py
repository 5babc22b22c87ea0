"""A rule that is still being edited, tried while somebody waits: as much as goes in some seconds, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import numpy as np
from django.db import OperationalError, connection, transaction
from django.db.models import Count, Min

from apps.monitoring.alerts import suggest
from apps.monitoring.alerts.backtest import Span, earliest, span, summary
from apps.monitoring.alerts.measure import sampled_metric
from apps.monitoring.alerts.narrow import Asked, OfTenants
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.core.clock import SECONDS, isoformat, minute_of, to_datetime, to_minute
from apps.monitoring.core.extremes import thin
from apps.monitoring.core.frame import Floats, Frame
from apps.monitoring.core.rules import Operator, Rule, Scope, condition
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.core.timeline import Episode, Tally, Timeline
from apps.monitoring.models import Alert, RollupBatch
from apps.monitoring.query.deadline import Deadline, SlowError
from apps.monitoring.query.errors import QueryError, RangeError

SECONDS_AT_MOST: Final = 8.0
"""The web server has few processes, and gives a request up after 30 seconds."""
_DRAWING: Final = 2.0
"""Seconds more, for the line of the tenant that is drawn."""
_LOCK: Final = 0x61676D74
_CELLS: Final = 100_000
"""Tenants times minutes that are read between two looks at the clock: about a second."""
_POINTS: Final = 400
"""Of the line that is drawn."""
_LISTED: Final = 50
"""Tenants, the worst first."""

_NO_VALUE: Final = "There is no value in this range: nothing was recorded, or never as many samples as it takes."
REMEDY: Final = "choose one tenant or a shorter range, or take the command in manage.py, which has no such limit"


Answer = TypeVar("Answer")
Work = Generator[float | None, None, Answer]
"""Yields how much of the reading and judging is done, from 0 to 1; None: what follows has no end that could be told."""


class BusyError(QueryError):
    """Another rule is being tried."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a rule would have done; ``tried`` of ``tenants`` tenants were looked at, for as long as there was time."""

    rule: Rule
    over: Span
    timeline: Timeline
    tried: int
    tenants: int
    nearest: str | None
    """Who came nearest to a breach, or farthest beyond one; None without any value."""

    @property
    def is_cut(self) -> bool:
        """Whether there was no time for all."""
        return self.tried < self.tenants


@contextmanager
def quietly(deadline: Deadline) -> Iterator[None]:
    """One trial at a time, in a transaction that cannot write and whose statements end in time. Raises BusyError, SlowError."""
    with deadline.statements():
        with connection.cursor() as cursor:
            if not connection.savepoint_ids:  # an outer transaction goes on after this one
                cursor.execute("SET LOCAL transaction_read_only = on")
            cursor.execute("SELECT pg_try_advisory_xact_lock(%s, 0)", [_LOCK])
            if not cursor.fetchone()[0]:
                raise BusyError("another rule is being tried at this moment: try again in a few seconds")
        yield


def lately(rule: Rule, hours: int, now: datetime) -> Span:
    """The last hours, as far as there are minutes of them that the rule can judge. Raises RangeError when there are none."""
    first = RollupBatch.objects.aggregate(first=Min("minute"))["first"]
    begun = earliest(rule) if first is None else max(earliest(rule), to_minute(first))
    start = max(minute_of((now - timedelta(hours=hours)).timestamp()), begun)
    return span(rule, to_datetime(start), now)


def backtest(rule: Rule, over: Span, tenant: str | None, deadline: Deadline) -> Work[Tried]:
    """Of one tenant, or of as many as there is time for: first those with the most alerts in the range. Raises SlowError."""
    timeline = Timeline(rule, end=over.end)
    tenants = _tenants(rule, over, tenant)
    nearest = _Nearest(rule)

    def take(frame: Frame) -> None:
        timeline.show(frame)
        nearest.look(frame)

    tried = yield from _read(rule, over, tenants, deadline, take)
    return Tried(rule, over, timeline, tried, len(tenants), nearest.tenant)


def threshold(rule: Rule, over: Span, tenant: str | None, per_week: float, deadline: Deadline) -> Work[dict[str, Any]]:
    """A threshold for a wished number of alerts a week, as JSON.

    Trying thresholds on what was read in time has as much time again. Raises RangeError when one of both does not suffice,
    and SlowError.
    """
    tenants = _tenants(rule, over, tenant)
    held: list[Frame] = []
    read = yield from _read(rule, over, tenants, deadline, held.append)
    if read < len(tenants):
        raise RangeError(f"there was time for {read:,} of {len(tenants):,} tenants: {REMEDY}")
    yield None
    trying = deadline.again()

    def go_on() -> None:
        if trying.is_over:
            raise RangeError(f"there was no time to try thresholds on {len(tenants):,} tenants: {REMEDY}")

    return suggest.as_json(rule, over, per_week, suggest.suggest(rule, held, per_week, go_on))


def as_json(found: Tried, tenant: str | None, deadline: Deadline) -> dict[str, Any]:
    """What is drawn and listed; tenant None draws the worst."""
    timeline, over = found.timeline, found.over
    tallies = {name: timeline.tally(name) for name in timeline.lines}
    fired = {name: tally for name, tally in tallies.items() if tally.fired}
    worst = sorted(fired, key=lambda name: (-fired[name].firing_minutes, -fired[name].fired, name))
    drawn = tenant if tenant is not None else next(iter(worst), found.nearest)
    total = sum(tallies.values(), Tally())
    return {
        "condition": condition(found.rule),
        "unit": found.rule.unit,
        "from": isoformat(over.start),
        "to": isoformat(over.end),
        **summary(total),
        "per_week": total.fired * 7 * 24 * 60 / over.minutes,
        "tenants_tried": found.tried,
        "tenants": found.tenants,
        "is_cut": found.is_cut,
        "is_each": found.rule.scope == Scope.EVERY_TENANT,
        "worst": [{"tenant": name, **summary(fired[name])} for name in worst[:_LISTED]],
        "tenants_fired": len(fired),
        **_drawing(found, drawn, deadline),
    }


def _drawing(found: Tried, drawn: str | None, deadline: Deadline) -> dict[str, Any]:
    """The line, or why there is none."""
    if drawn is None:
        return {"chart": None, "undrawn": _NO_VALUE}
    deadline.allow(_DRAWING)
    try:
        with deadline.statements():
            return {"chart": _chart(found, drawn), "undrawn": ""}
    except SlowError:
        return {"chart": None, "undrawn": "There was no time left to draw it: choose one tenant or a shorter range."}


def _tenants(rule: Rule, over: Span, tenant: str | None) -> list[str]:
    if rule.scope == Scope.GLOBAL:
        return [GLOBAL]
    if rule.scope == Scope.ONE_TENANT:
        return [rule.tenant]
    if tenant is not None:
        return [tenant]
    source = Asked()
    names = {*source.series(rule, sampled_metric(rule)).values(), *source.known(rule, over.start)}
    alerts = Alert.objects.filter(fired_at__gte=to_datetime(over.start), fired_at__lt=to_datetime(over.end), tenant__in=names)
    often = dict(alerts.order_by().values_list("tenant").annotate(Count("pk")))
    return sorted(names, key=lambda name: (-often.get(name, 0), name))


def _read(
    rule: Rule, over: Span, tenants: list[str], deadline: Deadline, take: Callable[[Frame], None]
) -> Generator[float, None, int]:
    """Hand over all frames of some tenants and then those of others, while there is time; returns of how many tenants.

    The statement that is under way when the time is over is given up, and what was read of those tenants with it. Raises its
    error when nothing was read before.
    """
    yield 0.0
    source, size, read = Asked(), max(1, _CELLS // (over.minutes + rule.reach)), 0
    portions = [tenants[first : first + size] for first in range(0, len(tenants), size)]
    for number, some in enumerate(portions):
        if deadline.is_over:
            break
        frames: list[Frame] = []
        try:
            with transaction.atomic():
                sweep = Sweep(rule, over.start, over.end, OfTenants(some, source))
                for frame in sweep:
                    frames.append(frame)
                    yield (number + len(frames) / len(sweep) / 2) / len(portions)
        except OperationalError as error:
            if read and deadline.ended(error):
                break
            raise
        for taken, frame in enumerate(frames, 1):
            take(frame)
            yield (number + (1 + taken / len(frames)) / 2) / len(portions)
        read += len(some)
    return read


class _Nearest:
    """Who comes nearest to a breach."""

    def __init__(self, rule: Rule) -> None:
        self._rule, self._best = rule, -np.inf
        self.tenant: str | None = None

    def look(self, frame: Frame) -> None:
        """At the next minutes of some."""
        values = np.where(frame.has_value(self._rule), frame.values, np.nan)
        badness = self._badness(values)
        if np.isnan(badness).all():
            return
        row, _ = np.unravel_index(np.nanargmax(badness), badness.shape)
        if float(np.nanmax(badness)) > self._best:
            self._best, self.tenant = float(np.nanmax(badness)), frame.tenants[int(row)]

    def _badness(self, values: Floats) -> Floats:
        match Operator(self._rule.operator):
            case Operator.GT | Operator.GTE:
                return values
            case Operator.LT | Operator.LTE:
                return -values
            case Operator.EQ:
                return -np.abs(values - self._rule.threshold)


def _chart(found: Tried, tenant: str) -> dict[str, Any]:
    """The value minute by minute, thinned, with the limits and with when it would have fired."""
    rule, over = found.rule, found.over
    values = np.full(over.minutes, np.nan)
    for frame in Sweep(rule, over.start, over.end, OfTenants([tenant])):
        own = np.where(frame.has_value(rule), frame.values, np.nan)
        values[frame.start - over.start : frame.end - over.start] = own[list(frame.tenants).index(tenant)]
    length, points = thin(values, _POINTS)
    return {
        "tenant": tenant or None,
        "threshold": rule.threshold,
        "recovery_threshold": rule.recovery_threshold,
        "step_seconds": length * SECONDS,
        "least": [low for low, _ in points],
        "greatest": [high for _, high in points],
        "episodes": [_episode(one) for one in found.timeline.episodes(tenant)],
    }


def _episode(one: Episode) -> dict[str, Any]:
    return {"from": isoformat(one.start), "to": None if one.end is None else isoformat(one.end)}
