"""The state that a past minute began with, found again: the minutes before it are judged anew, beside what the history says.

What was measured is stored, and so is most of what held notifications back. What is not, such as how late a minute was judged,
the history shows by who was told: of several ways in which a minute may have gone, the one that it tells of was it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from apps.monitoring.core.judging import Judged, Measured, end_all, judge_minute
from apps.monitoring.core.lifecycle import NEW, State, Status
from apps.monitoring.core.rules import Rule, subject

DISABLED: Final = "the rule was disabled"
ANOTHER: Final = "the rule was changed and judges something else now"
UNKNOWN: Final = "the history shows that nobody was told, and what is stored does not say why (such as a minute judged late)"
_HELD: Final = "held back: "
_COOLDOWN: Final = "cooldown until "
_REASON: Final = 300
"""Characters that the history keeps of a reason."""


@dataclass(frozen=True, slots=True)
class Past:
    """A line of the history."""

    minute: int
    state: Status
    changed: bool
    notified: bool
    value: float | None
    samples: int
    reason: str

    @property
    def hold(self) -> str | None:
        """What held its notification back, other than the cooldown, which follows from the state."""
        _, found, reason = self.reason.partition(_HELD)
        return reason if found and not reason.startswith(_COOLDOWN) else None


@dataclass(frozen=True, slots=True)
class Moment:
    """What a minute was judged with. ``expected``: even without samples; ``hold``: why nobody may have been told.

    ``acknowledged``: the severity at which somebody had taken the alert on; empty when nobody had.
    """

    minute: int
    rule: Rule
    enabled: bool
    seen: Measured
    expected: bool
    hold: str | None
    acknowledged: str


def after(state: State, line: Past) -> State:
    """The state that a line of the history leaves behind, as far as it says."""
    if line.changed:
        going = line.state in {Status.PENDING, Status.FIRING}
        since = line.minute if state.since is None else state.since
        state = replace(
            state,
            status=line.state if going else Status.INACTIVE,
            since=since if going else None,
            recovering_since=None,
            announced=False,
            owed=state.owed or (line.state is Status.RESOLVED and state.announced and not line.notified),
            acknowledged="",
        )
    if not line.notified:
        return state
    if line.state is Status.RESOLVED:
        return state if line.changed else replace(state, owed=False)
    return replace(state, announced=True, notified_at=line.minute)


def beginning(lines: Sequence[Past], cooldown: int) -> int:
    """The position of the line with which the last course of a history begins: before it all was calm, and no cooldown ran."""
    state, begin = NEW, 0
    for number, line in enumerate(lines):
        if state.is_idle(line.minute, cooldown):
            state, begin = NEW, number
        state = after(state, line)
    return begin


class Course:
    """A tenant's state under one rule, minute after minute."""

    def __init__(self, tenant: str, before: Iterable[Past] = ()) -> None:
        self._tenant = tenant
        self.state = NEW
        self.disputed: list[int] = []
        """Minutes of which the history tells something else."""
        self._subject: str | None = None
        for line in before:
            self.state = after(self.state, line)

    def judge(self, moment: Moment, lines: Sequence[Past]) -> Judged | None:
        """Go on by a minute, of which the history has ``lines``; None where the rule had nothing to judge.

        Where no way of judging gives these lines it goes on from what the history says.
        """
        if moment.acknowledged and self.state.status is Status.FIRING:
            self.state = replace(self.state, acknowledged=moment.acknowledged)
        held = [moment.hold, *(line.hold for line in lines), None, UNKNOWN]
        hearing = dict.fromkeys([moment.rule.heard, True])
        ways = [self._judge(moment, hold, heard=heard) for hold in dict.fromkeys(held) for heard in hearing]
        likeness = [_likeness(way, lines) for way in ways]
        best = ways[likeness.index(max(likeness))]
        if max(likeness):
            self.state = self.state if best is None else best.after
        else:
            best = ways[0]
            self.disputed.append(moment.minute)
            for line in lines:
                self.state = after(self.state, line)
        self._subject = subject(moment.rule)
        if self.state.is_idle(moment.minute, moment.rule.cooldown):
            self.state = NEW
        return best

    def _judge(self, moment: Moment, hold: str | None, *, heard: bool) -> Judged | None:
        """As the evaluation does."""
        rule = replace(moment.rule, heard=heard)

        def held(_: str) -> str | None:
            return hold

        own = {} if self.state == NEW else {self._tenant: self.state}
        if not moment.enabled:
            return next(iter(end_all(own, DISABLED, held)), None)
        going = self.state.owed or self.state.status is not Status.INACTIVE
        if going and self._subject not in {None, subject(rule)}:
            return next(iter(end_all(own, ANOTHER, held)), None)
        measured = {self._tenant: moment.seen} if moment.seen.samples else {}
        expected = {self._tenant} if moment.expected else set()
        return next(iter(judge_minute(rule, measured, own, expected, moment.minute, held)), None)


def told(judged: Judged | None, minute: int) -> list[Past]:
    """The lines that a judged minute adds to the history."""
    if judged is None:
        return []
    seen = judged.verdict
    return [
        Past(minute, one.state, one.changed, one.notice is not None, seen.value, seen.samples, one.reason[:_REASON])
        for one in judged.events
    ]


def _likeness(judged: Judged | None, lines: Sequence[Past]) -> int:
    """2: the same, word by word; 1: the same states, and the same people told; 0: something else."""
    own = told(judged, lines[0].minute if lines else 0)
    if [(one.state, one.changed, one.notified) for one in own] != [(one.state, one.changed, one.notified) for one in lines]:
        return 0
    return 2 if [one.reason for one in own] == [one.reason for one in lines] else 1
