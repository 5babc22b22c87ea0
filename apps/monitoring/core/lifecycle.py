"""The life of an alert: inactive, pending, firing, resolved; and what is said about it, once.

`step` is a pure function. The evaluator runs it minute by minute over what is stored now, the backtest over
what was stored then, so they cannot disagree. Minutes are whole minutes since the epoch.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from apps.monitoring.core.clock import isoformat
from apps.monitoring.core.rules import Rule, Verdict, rank


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

    ``announced``: somebody was told that this fires. ``owed``: an episode before was announced and has ended, and nobody
    could be told yet. ``notified_at``: when a firing notification last went out, which is when the cooldown starts.
    ``acknowledged``: the severity at which somebody took this on; empty when nobody has.
    """

    status: Status = Status.INACTIVE
    since: int | None = None
    recovering_since: int | None = None
    notified_at: int | None = None
    announced: bool = False
    owed: bool = False
    acknowledged: str = ""

    def is_idle(self, minute: int, cooldown: int) -> bool:
        """Whether forgetting this state changes nothing any more."""
        cooling = self.notified_at is not None and minute - self.notified_at < cooldown
        return self.status is Status.INACTIVE and not self.owed and not cooling


@dataclass(frozen=True, slots=True)
class Event:
    """A line of the history. ``changed`` is False when only a notification is decided, the state staying as it is.

    ``notice`` is the notification that goes out, or None; ``reason`` says why it does or does not. ``late``: it is about
    the episode before, whose end was owed.
    """

    state: Status
    changed: bool
    notice: Notice | None
    reason: str
    late: bool = False


NEW: Final = State()
UNHEARD: Final = "no channel is enabled"


def step(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None = None) -> tuple[State, list[Event]]:
    """Judge one minute. ``held`` is why nobody may be notified in this minute (silence, age), None when they may."""
    settled, late = _settle(state, held)
    go_on = _step_firing if state.status is Status.FIRING else _step_quiet
    after, events = go_on(rule, settled, verdict, minute, held)
    return after, [*late, *events]


def stays(rule: Rule, state: State, minute: int, *, breach: bool) -> bool:
    """Whether a minute leaves a state as it is without a word, whatever holds notifications back, and it has to be kept.

    It says so of what most states are: firing, pending or cooling on, with nothing due. Of all others `step` has to be asked.
    """
    if state.owed or (state.status is not Status.INACTIVE) != breach:
        return False
    match state.status:
        case Status.FIRING:
            told = state.announced and state.recovering_since is None
            return told and (_is_taken_on(rule, state) if state.acknowledged else not _reminder_is_due(rule, state, minute))
        case Status.PENDING:
            return state.since is not None and minute - state.since < rule.pending_for
        case _:
            return not state.is_idle(minute, rule.cooldown)


def end(state: State, reason: str, held: str | None = None) -> tuple[State, list[Event]]:
    """End what is open, because nobody judges it any more; only the cooldown goes on. ``held`` as in `step`."""
    settled, late = _settle(state, held)
    if state.status is Status.FIRING:
        after, events = _resolve(settled, reason, held)
        return after, [*late, *events]
    if state.status is Status.PENDING:
        late.append(Event(Status.INACTIVE, True, None, reason))
    return replace(settled, status=Status.INACTIVE, since=None, recovering_since=None), late


def _settle(state: State, held: str | None) -> tuple[State, list[Event]]:
    """Before anything new is said: what was announced is told to have ended, whatever has begun since."""
    if not state.owed or held is not None:
        return state, []
    late = Event(Status.RESOLVED, False, Notice.RESOLVED, "resolved earlier, when nobody could be notified", late=True)
    return replace(state, owed=False), [late]


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
        return _fire(rule, state, since, verdict, minute, held)
    pending = replace(state, status=Status.PENDING, since=since)
    if state.status is Status.PENDING:
        return pending, []
    return pending, [Event(Status.PENDING, True, None, f"{verdict.reason}; fires after {rule.pending_for} minutes")]


def _fire(rule: Rule, state: State, since: int, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    hold = _unheard(rule, held) or _cooldown_hold(rule, state, minute)
    firing = replace(
        state,
        status=Status.FIRING,
        since=since,
        recovering_since=None,
        notified_at=minute if hold is None else state.notified_at,
        announced=hold is None,
        acknowledged="",
    )
    if hold is not None:
        return firing, [Event(Status.FIRING, True, None, f"{verdict.reason}; held back: {hold}")]
    return firing, [Event(Status.FIRING, True, Notice.FIRING, verdict.reason)]


def _step_firing(rule: Rule, state: State, verdict: Verdict, minute: int, held: str | None) -> tuple[State, list[Event]]:
    if verdict.recovered and not verdict.breach:
        recovering = minute if state.recovering_since is None else state.recovering_since
        if minute - recovering >= rule.keep_firing_for:
            return _resolve(state, verdict.reason, held)
        state = replace(state, recovering_since=recovering)
    elif state.recovering_since is not None and (verdict.breach or verdict.value is not None):
        state = replace(state, recovering_since=None)
    if state.acknowledged and _is_taken_on(rule, state):
        return state, []
    hold = _unheard(rule, held)
    if not state.announced:
        return _announce(rule, state, verdict, minute, hold)
    if state.acknowledged:
        return _reopen(rule, state, verdict, minute, hold)
    return _remind(rule, state, verdict, minute, hold)


def _resolve(state: State, reason: str, held: str | None) -> tuple[State, list[Event]]:
    ended = replace(state, status=Status.INACTIVE, since=None, recovering_since=None, announced=False, acknowledged="")
    if not state.announced:
        return ended, [Event(Status.RESOLVED, True, None, f"{reason}; its firing was never announced")]
    if held is not None:
        return replace(ended, owed=True), [Event(Status.RESOLVED, True, None, f"{reason}; held back: {held}")]
    return ended, [Event(Status.RESOLVED, True, Notice.RESOLVED, reason)]


def _announce(rule: Rule, state: State, verdict: Verdict, minute: int, hold: str | None) -> tuple[State, list[Event]]:
    """What was held back when it fired, once it may go out. If somebody has taken it on it has become worse since."""
    if hold is not None or _cooldown_hold(rule, state, minute) is not None:
        return state, []
    why = _risen(rule, state) if state.acknowledged else "no longer held back"
    told = replace(state, announced=True, notified_at=minute, acknowledged="")
    return told, [Event(Status.FIRING, False, Notice.FIRING, f"{verdict.reason}; {why}")]


def _reopen(rule: Rule, state: State, verdict: Verdict, minute: int, hold: str | None) -> tuple[State, list[Event]]:
    """Whoever took it on took on something milder, for the severity has risen: then it is told again.

    While nobody may be notified it stays acknowledged; the cooldown holds back only the notification, for there is a
    reminder when it is over.
    """
    if hold is not None:
        return state, []
    reason = _risen(rule, state)
    opened = replace(state, acknowledged="")
    cooling = _cooldown_hold(rule, state, minute)
    if cooling is not None:
        return opened, [Event(Status.FIRING, False, None, f"{reason}; held back: {cooling}")]
    told = replace(opened, notified_at=minute)
    return told, [Event(Status.FIRING, False, Notice.REMINDER, f"{verdict.reason}; {reason}")]


def _remind(rule: Rule, state: State, verdict: Verdict, minute: int, hold: str | None) -> tuple[State, list[Event]]:
    """One reminder each cooldown."""
    if state.notified_at is None or not _reminder_is_due(rule, state, minute):
        return state, []
    if hold is not None:
        due_now = (minute - state.notified_at) % rule.cooldown == 0
        return state, [Event(Status.FIRING, False, None, f"reminder held back: {hold}")] if due_now else []
    return replace(state, notified_at=minute), [
        Event(Status.FIRING, False, Notice.REMINDER, f"still firing after {rule.cooldown} minutes: {verdict.reason}")
    ]


def _risen(rule: Rule, state: State) -> str:
    return f"the severity rose from {state.acknowledged} to {rule.severity}, which ends the acknowledgement"


def _is_taken_on(rule: Rule, state: State) -> bool:
    """Whether whoever acknowledged it took on something as bad as it is."""
    return rank(rule.severity) <= rank(state.acknowledged)


def _reminder_is_due(rule: Rule, state: State, minute: int) -> bool:
    return rule.cooldown != 0 and state.notified_at is not None and not _is_cooling(rule, state, minute)


def _unheard(rule: Rule, held: str | None) -> str | None:
    """Why nobody can be told that it fires. An end is not asked: it goes where its beginning went."""
    return held or (None if rule.heard else UNHEARD)


def _cooldown_hold(rule: Rule, state: State, minute: int) -> str | None:
    if state.notified_at is None or not _is_cooling(rule, state, minute):
        return None
    return f"cooldown until {isoformat(state.notified_at + rule.cooldown)}"


def _is_cooling(rule: Rule, state: State, minute: int) -> bool:
    return state.notified_at is not None and minute - state.notified_at < rule.cooldown
