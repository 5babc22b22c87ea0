"""The life of a rule's alerts over stored minutes, and what it comes to: fired how often, how long, with how many flaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from apps.monitoring.core.frame import Frame
from apps.monitoring.core.judging import Judged, judge_minute
from apps.monitoring.core.lifecycle import Notice, State, Status
from apps.monitoring.core.rules import Rule


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a history. ``changed`` is False where the state stays and only a notification is decided."""

    minute: int
    state: Status
    changed: bool
    value: float | None
    samples: int
    notice: Notice | None
    reason: str


@dataclass(frozen=True, slots=True)
class Episode:
    """From the minute a rule fired for a tenant to the minute it resolved; None while it fires."""

    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Tally:
    """What a history comes to. A flap is a firing within the cooldown after the end of the one before."""

    fired: int = 0
    firing_minutes: int = 0
    flaps: int = 0
    notifications: int = 0

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.fired + other.fired,
            self.firing_minutes + other.firing_minutes,
            self.flaps + other.flaps,
            self.notifications + other.notifications,
        )

    def __str__(self) -> str:
        if not self.fired:
            return "would not have fired"
        flaps = f", {_counted(self.flaps, 'flap')}" if self.flaps else ""
        fired = _counted(self.fired, "time")
        return f"would have fired {fired}, {_counted(self.firing_minutes, 'minute')}{flaps}"


@dataclass(slots=True)
class Timeline:
    """What one rule does over minutes that it is shown in order. It begins as a rule that was just made: nothing fires."""

    rule: Rule
    end: int
    """The first minute after it: until when counts what still fires."""
    states: dict[str, State] = field(default_factory=dict)
    lines: dict[str, list[Line]] = field(default_factory=dict)
    """By tenant, in the order of their minutes; only tenants that have one."""

    def show(self, frame: Frame) -> None:
        """Judge every minute of a frame, which follows the one before of the same tenants. Other tenants stay as they are."""
        breaches = frame.breaches(self.rule)
        rows = {tenant: row for row, tenant in enumerate(frame.tenants)}
        going = {tenant for tenant in self.states if tenant in rows}
        for column, breached in enumerate(np.any(breaches, axis=0)):
            # Whoever breaches nothing and has no state stays as it is: nobody has to look.
            if breached or going:
                looked = going.union(frame.tenants[row] for row in np.flatnonzero(breaches[:, column]).tolist())
                measured = {tenant: frame.seen(rows[tenant], column) for tenant in looked}
                states = {tenant: self.states[tenant] for tenant in going}
                minute = frame.start + column
                self.step(minute, judge_minute(self.rule, measured, states, (), minute))
                going = {tenant for tenant in looked if tenant in self.states}

    def step(self, minute: int, judged: Iterable[Judged]) -> None:
        """Keep what one minute did."""
        for one in judged:
            if one.after.is_idle(minute, self.rule.cooldown):
                self.states.pop(one.tenant, None)
            else:
                self.states[one.tenant] = one.after
            if one.events:
                self.lines.setdefault(one.tenant, []).extend(lines_of(minute, one))

    def episodes(self, tenant: str) -> list[Episode]:
        """The firings of a tenant."""
        return episodes(self.lines.get(tenant, ()))

    def tally(self, tenant: str) -> Tally:
        """What the history of a tenant comes to."""
        told = sum(line.notice is not None for line in self.lines.get(tenant, ()))
        found = self.episodes(tenant)
        quiet = self.rule.cooldown or self.rule.window
        return Tally(
            fired=len(found),
            firing_minutes=sum((self.end if one.end is None else one.end) - one.start for one in found),
            flaps=sum(before.end is not None and after.start - before.end < quiet for before, after in pairwise(found)),
            notifications=told,
        )

    def total(self) -> Tally:
        """What the histories of all tenants come to."""
        return sum((self.tally(tenant) for tenant in self.lines), Tally())


def lines_of(minute: int, judged: Judged) -> list[Line]:
    """The lines that one minute adds to the history of a tenant."""
    seen = judged.verdict
    return [
        Line(minute, event.state, event.changed, seen.value, seen.samples, event.notice, event.reason)
        for event in judged.events
    ]


def episodes(lines: Sequence[Line]) -> list[Episode]:
    """The firings in a history."""
    found: list[Episode] = []
    for line in lines:
        if line.changed and line.state is Status.FIRING:
            found.append(Episode(line.minute, None))
        elif line.changed and line.state is Status.RESOLVED and found:
            found[-1] = Episode(found[-1].start, line.minute)
    return found


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
