"""The life of an alert: inactive, pending, firing, resolved; and what is said about it, once.

`step` is a pure function. The evaluator runs it minute by minute over what is stored now, the backtest over
what was stored then, so they cannot disagree. Minutes are whole minutes since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from apps.monitoring.core.clock import isoformat
from apps.monitoring.core.rules import Rule, Verdict


class Status(StrEnum):
    """Where a rule stands for a tenant. An alert that ends is `resolved` in the history and inactive after."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"


class Notice(StrEnum):
    """What a notification says."""

    FIRING = "firing"
    REMINDER = "reminder"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class State:
    """Everything the next minute needs to know.

    ``announced``: somebody was told that this fires and has not yet been told that it ended.
    ``notified_at``: when a firing notification last went out, which is when the cooldown starts.
    """

    status: Status = Status.INACTIVE
    since: int | None = None
    recovering_since: int | None = None
    notified_at: int | None = None
    announced: bool = False
    acknowledged: bool = False

    def is_idle(self, minute: int, cooldown: int) -> bool:
        """Whether forgetting this state changes nothing any more."""
        cooling = self.notified_at is not None and minute - self.notified_at < cooldown
        return self.status is Status.INACTIVE and not self.announced and not cooling


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the history. ``changed`` is False when only a notification is decided, the state staying as it is.

    ``notice`` is the notification that goes out, or None; ``reason`` says why it does or does not.
    """

    state: Status
    changed: bool
    notice: Notice | None
    reason: str


NEW: Final = State()


def step(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None = None) -> tuple[State, list[Event]]:
    """Judge one minute. ``held`` is why nobody may be notified in this minute (silence, age), None when they may."""
    if state.status is Status.FIRING:
        return _step_firing(rule, state, verdict, minute, held)
    if state.announced and held is None:
        # Before anything new is said: what was announced is told to have ended, once.
        after, events = _step_quiet(rule, replace(state, announced=False), verdict, minute, held)
        return after, [_resolved_late(), *events]
    return _step_quiet(rule, state, verdict, minute, held)


def end(state: State, reason: str, held: str | None = None) -> tuple[State, list[Event]]:
    """End what is open, because nobody judges it any more; only the cooldown goes on. ``held`` as in `step`."""
    if state.status is Status.FIRING:
        return _resolve(state, reason, held)
    events: list[Event] = []
    ended = replace(state, status=Status.INACTIVE, since=None, recovering_since=None)
    if state.announced and held is None:
        ended = replace(ended, announced=False)
        events.append(_resolved_late())
    if state.status is Status.PENDING:
        events.append(Event(Status.INACTIVE, True, None, reason))
    return ended, events


def _step_quiet(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    if verdict.breach:
        return _step_breach(rule, state, verdict, minute, held)
    if state.status is Status.PENDING and (verdict.recovered or verdict.value is not None):
        ended = replace(state, status=Status.INACTIVE, since=None)
        return ended, [Event(Status.INACTIVE, True, None, f"{verdict.reason}, before the {rule.pending_for} minutes were over")]
    return state, []


def _step_breach(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    since = minute if state.since is None else state.since
    if minute - since >= rule.pending_for:
        return _fire(rule, replace(state, since=since), verdict, minute, held)
    pending = replace(state, status=Status.PENDING, since=since)
    if state.status is Status.PENDING:
        return pending, []
    return pending, [Event(Status.PENDING, True, None, f"{verdict.reason}; fires after {rule.pending_for} minutes")]


def _fire(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    firing = replace(state, status=Status.FIRING, recovering_since=None, acknowledged=False)
    hold = held or _cooldown_hold(rule, state, minute)
    if hold is not None:
        return firing, [Event(Status.FIRING, True, None, f"{verdict.reason}; held back: {hold}")]
    told = replace(firing, announced=True, notified_at=minute)
    return told, [Event(Status.FIRING, True, Notice.FIRING, verdict.reason)]


def _step_firing(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    if verdict.recovered and not verdict.breach:
        recovering = replace(state, recovering_since=minute if state.recovering_since is None else state.recovering_since)
        if minute - (recovering.recovering_since or minute) >= rule.keep_firing_for:
            return _resolve(recovering, verdict.reason, held)
        state = recovering
    elif verdict.breach or verdict.value is not None:
        state = replace(state, recovering_since=None)
    return _remind(rule, state, verdict, minute, held)


def _resolved_late() -> Event:
    return Event(Status.RESOLVED, False, Notice.RESOLVED, "resolved earlier, when nobody could be notified")


def _resolve(state: State, reason: str, held: str | None) -> tuple[State, list[Event]]:
    ended = replace(state, status=Status.INACTIVE, since=None, recovering_since=None, acknowledged=False)
    if not state.announced:
        return ended, [Event(Status.RESOLVED, True, None, f"{reason}; its firing was never announced")]
    if held is not None:
        return ended, [Event(Status.RESOLVED, True, None, f"{reason}; held back: {held}")]
    return replace(ended, announced=False), [Event(Status.RESOLVED, True, Notice.RESOLVED, reason)]


def _remind(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    """While it keeps firing: the first announcement once it may go out, then one reminder each cooldown."""
    if _cooldown_hold(rule, state, minute) is not None:
        return state, []
    if not state.announced:
        if held is not None:
            return state, []
        told = replace(state, announced=True, notified_at=minute)
        return told, [Event(Status.FIRING, False, Notice.FIRING, f"{verdict.reason}; no longer held back")]
    if rule.cooldown == 0 or state.acknowledged or state.notified_at is None:
        return state, []
    if held is not None:
        due_now = (minute - state.notified_at) % rule.cooldown == 0
        return state, [Event(Status.FIRING, False, None, f"reminder held back: {held}")] if due_now else []
    return replace(state, notified_at=minute), [
        Event(Status.FIRING, False, Notice.REMINDER, f"still firing after {rule.cooldown} minutes: {verdict.reason}")
    ]


def _cooldown_hold(rule: Rule, state: State, minute: int) -> str | None:
    if state.notified_at is None or minute - state.notified_at >= rule.cooldown:
        return None
    return f"cooldown until {isoformat(state.notified_at + rule.cooldown)}"
