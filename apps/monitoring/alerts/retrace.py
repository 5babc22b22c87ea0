"""The minutes before one that is explained, judged anew from the last calm one on, with all that is stored about them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Final

from django.db.models import Q

from apps.monitoring.alerts.backtest import earliest
from apps.monitoring.alerts.hearing import Hearing
from apps.monitoring.alerts.held import Asked, Held
from apps.monitoring.alerts.judgings import Judgings
from apps.monitoring.alerts.narrow import OfTenants
from apps.monitoring.alerts.sweep import Sweep
from apps.monitoring.alerts.versions import Version, at
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.course import Course, Moment, Past, beginning
from apps.monitoring.core.judging import NOTHING, Judged, Measured
from apps.monitoring.core.lifecycle import State, Status
from apps.monitoring.core.rules import Rule, worst
from apps.monitoring.models import Alert, AlertRule, AlertTransition
from apps.monitoring.notify.announcements import severities

FARTHEST: Final = 2 * 24 * 60
"""Minutes that are judged anew at most; what was open longer begins as the history has it."""
_LINES: Final = 500
"""Lines of the history that the beginning of a course is looked for in."""
_HELD: Final = "held back: "
_LATE: Final = f"{_HELD}the minute was judged "


class Retrace:
    """The minutes from the last calm one to the one that is explained."""

    def __init__(self, found: Sequence[Version], judgings: Judgings, tenant: str, minute: int) -> None:
        self._versions, self._judgings, self._tenant, self._minute = found, judgings, tenant, minute
        rule = found[-1].rule
        past = _past(rule, tenant, minute)
        before = [line for line in past if line.minute < minute]
        cooldown = max(one.rule.cooldown_minutes for one in found)
        begin = beginning(before, cooldown)
        calm = before[begin].minute if before else minute
        self.begun = max(calm, minute - FARTHEST, earliest(self.version(minute).rule.definition()))
        self._course = Course(tenant, [line for line in before[begin:] if line.minute < self.begun])
        self.is_cut = self.begun > calm
        self.lines: dict[int, list[Past]] = {}
        for line in past:
            self.lines.setdefault(line.minute, []).append(line)
        self._late = _late(self.begun, minute)
        self._held = Held(self.begun, minute)
        self._taken_on = _taken_on(rule, tenant, self.begun, minute)
        self._hearing = Hearing()

    def version(self, minute: int) -> Version:
        """The one that judged a minute."""
        return at(self._versions, self._judgings.of(minute))

    @property
    def disputed(self) -> list[int]:
        """The minutes before of which the history has something else than the stored data give."""
        return [minute for minute in self._course.disputed if minute < self._minute]

    def run(self, last: Measured) -> tuple[State, Judged | None]:
        """The state that the minute began with, and what it did; ``last`` is what was seen in it."""
        judged, before = None, self._course.state
        for version, start, end in self._parts():
            rule = version.rule.definition()
            for minute, measured, expected in _seen(rule, self._tenant, start, end):
                before = self._course.state
                seen, held = last if minute == self._minute else measured, self.hold(version, minute)
                known = replace(rule, heard=self.heard(version, minute))
                moment = Moment(minute, known, version.judges, seen, expected, held, self._acknowledged(minute))
                judged = self._course.judge(moment, self.lines.get(minute, []))
        return before if judged is None else judged.before, judged

    def hold(self, version: Version, minute: int) -> str | None:
        """Why nobody may have been told in a minute: its age, or else silences and mute windows."""
        if minute in self._late:
            return self._late[minute]
        return self._held.back(self._asked(version, minute))

    def remarks(self, version: Version, minute: int) -> Iterator[str]:
        """What held back then, or would now, and was edited since."""
        if minute not in self._late:
            yield from self._held.remarks(self._asked(version, minute))

    def _asked(self, version: Version, minute: int) -> Asked:
        return Asked(minute, self._judgings.of(minute), self._tenant, version.rule)

    def heard(self, version: Version, minute: int) -> bool:
        """Whether a channel was there that would have taken a notification."""
        return self._hearing.heard(version, self._judgings.of(minute))

    def _acknowledged(self, minute: int) -> str:
        """The severity at which somebody had taken the alert on when the minute was judged; empty when nobody had."""
        when = self._judgings.of(minute)
        taken = (one for one in self._taken_on if one.fired < minute <= one.ended and when.saw(one.at))
        return next((self._known_to_be(one) for one in taken), "")

    def _known_to_be(self, taken: _Taken) -> str:
        """As how severe somebody took an alert on, as `acknowledge` found it."""
        told = (severity for minute, severity in taken.told if not self._judgings.of(minute).saw(taken.at))
        return worst(told, taken.severity)

    def _parts(self) -> Iterator[tuple[Version, int, int]]:
        """The minutes that each version judged, in their order."""
        minutes = range(self.begun, self._minute + 1)
        for version, some in groupby(minutes, self.version):
            own = list(some)
            yield version, own[0], own[-1] + 1


def _seen(rule: Rule, tenant: str, start: int, end: int) -> Iterator[tuple[int, Measured, bool]]:
    """What the rule measures of the tenant minute by minute, and whether it is judged without samples."""
    minute = start
    for frame in Sweep(rule, start, end, OfTenants([tenant])):
        row = list(frame.tenants).index(tenant)
        for column in range(frame.end - frame.start):
            minute = frame.start + column
            yield minute, frame.seen(row, column), minute >= int(frame.known[row])
        minute += 1
    for nothing in range(minute, end):
        yield nothing, NOTHING, False


def _past(rule: AlertRule, tenant: str, minute: int) -> list[Past]:
    """The last lines of the history up to the minute, oldest first."""
    lines = AlertTransition.objects.filter(rule=rule, tenant=tenant, minute__lte=to_datetime(minute))
    return [
        Past(
            to_minute(line.minute),
            Status(line.state),
            line.event == AlertTransition.Event.TRANSITION,
            line.notified,
            line.value,
            line.samples,
            line.reason,
        )
        for line in reversed(lines.order_by("-minute", "-id")[:_LINES])
    ]


def _late(start: int, minute: int) -> dict[int, str]:
    """Minutes that were judged too late to tell anybody: whichever rule has a line that says so."""
    lines = AlertTransition.objects.filter(
        minute__gte=to_datetime(start), minute__lte=to_datetime(minute), reason__contains=_LATE
    )
    return {to_minute(moment): reason.partition(_HELD)[2] for moment, reason in lines.values_list("minute", "reason")}


@dataclass(frozen=True, slots=True)
class _Taken:
    """When somebody acknowledged an alert, the minutes of this, as how severe it fired, and when it was told as what."""

    at: datetime
    fired: int
    ended: int
    severity: str
    told: Sequence[tuple[int, str]]


def _taken_on(rule: AlertRule, tenant: str, start: int, minute: int) -> list[_Taken]:
    """The alerts of the minutes that somebody had acknowledged."""
    alerts = Alert.objects.filter(rule=rule, tenant=tenant, fired_at__lt=to_datetime(minute + 1), acknowledged_at__isnull=False)
    found = list(alerts.filter(Q(resolved_at=None) | Q(resolved_at__gte=to_datetime(start))))
    told = severities(rule.pk, [alert.pk for alert in found])
    return [
        _Taken(
            alert.acknowledged_at,
            to_minute(alert.fired_at),
            minute if alert.resolved_at is None else to_minute(alert.resolved_at),
            alert.severity,
            told[alert.pk],
        )
        for alert in found
        if alert.acknowledged_at is not None
    ]
