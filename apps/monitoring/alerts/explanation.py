"""Why a rule did or did not notify in one minute: as a value, as JSON, as numbered steps that people read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from apps.monitoring.alerts.judgings import When
from apps.monitoring.alerts.versions import Edit
from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.core.course import Past
from apps.monitoring.core.judging import Judged, Measured
from apps.monitoring.core.lifecycle import Event, State, Status
from apps.monitoring.core.rules import Operator, Rule, amount, condition


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of the notification on one channel."""

    channel: str
    kind: str
    status: str
    attempts: int
    delivered_at: datetime | None
    last_error: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One minute of one tenant ("" is all together) under one rule.

    ``looked_at`` are the stretches ``[from, to)`` that the value is made of, in minutes; ``judged`` is None where there was
    nothing to judge; ``hold`` is why nobody may have been told, other than the cooldown.
    """

    rule: Rule
    enabled: bool
    is_made: bool
    """False: the minute was judged before the rule was made."""
    when: When
    """It was judged."""
    tenant: str
    minute: int
    looked_at: list[tuple[int, int]]
    seen: Measured
    before: State
    begun: int
    """The minute that the state before was followed from."""
    judged: Judged | None
    hold: str | None
    deliveries: list[Delivery]
    history: list[Past]
    differences: list[str]
    """What the history says otherwise."""
    edits: list[Edit] = field(default_factory=list)
    """Later ones: the rule is explained as it was."""
    remarks: list[str] = field(default_factory=list)

    @property
    def events(self) -> list[Event]:
        """What the minute decided."""
        return [] if self.judged is None else self.judged.events

    @property
    def after(self) -> State:
        """The state that the minute left behind."""
        return self.before if self.judged is None else self.judged.after

    @property
    def conclusion(self) -> str:
        """In a sentence; what the history says goes before what is found now."""
        lines = self.history if self.differences else None
        told = [one.state for one in lines if one.notified] if lines is not None else [e.state for e in self.events if e.notice]
        if told:
            what = " and ".join("it ended" if state is Status.RESOLVED else "it fires" for state in told)
            return f"It was told that {what}; this {_reached(self.deliveries)}."
        if lines is not None:
            reasons = "; ".join(one.reason for one in lines)
            return f"Nobody was told, says the history: {reasons or 'it has nothing of this minute'}."
        reasons = "; ".join(event.reason for event in self.events)
        return f"Nobody was told: {reasons or _calm(self)}."


def as_json(found: Explanation) -> dict[str, Any]:
    """As machines read it. Tenant None is all together."""
    rule, judged = found.rule, found.judged
    return {
        "rule": rule.name,
        "tenant": found.tenant or None,
        "minute": isoformat(found.minute),
        "conclusion": found.conclusion,
        "condition": condition(rule),
        "enabled": found.enabled,
        "judged_at": _moment(found.when.at) if found.when.is_known else None,
        "windows": [{"from": isoformat(start), "to": isoformat(end)} for start, end in found.looked_at],
        "value": found.seen.value,
        "unit": rule.unit,
        "samples": found.seen.samples,
        "min_samples": rule.min_samples,
        "threshold": rule.threshold,
        "recovery_threshold": rule.recovery_threshold,
        "breach": judged is not None and judged.verdict.breach,
        "recovered": judged is not None and judged.verdict.recovered,
        "before": _state(found.before),
        "after": _state(found.after),
        "held_back": found.hold,
        "events": [
            {
                "state": event.state.value,
                "changed": event.changed,
                "notice": None if event.notice is None else event.notice.value,
                "reason": event.reason,
            }
            for event in found.events
        ],
        "notifications": [asdict(one) | {"delivered_at": _moment(one.delivered_at)} for one in found.deliveries],
        "history": [
            {
                "state": line.state.value,
                "changed": line.changed,
                "notified": line.notified,
                "value": line.value,
                "samples": line.samples,
                "reason": line.reason,
            }
            for line in found.history
        ],
        "agrees": not found.differences,
        "differences": found.differences,
        "edited_since": [
            {"at": _moment(edit.at), "by": edit.by, "fields": [name for name, _, _ in edit.fields]} for edit in found.edits
        ],
        "remarks": found.remarks,
        "steps": [f"{title}: {text}" for title, text in steps(found)],
    }


def steps(found: Explanation) -> list[tuple[str, str]]:
    """Title and text of each, in the order in which a minute is judged."""
    return [
        ("Rule", _rule(found)),
        ("Window", " and ".join(f"from {isoformat(start)} to {isoformat(end)}" for start, end in found.looked_at)),
        ("Judged", _judged(found)),
        ("Seen", _seen(found)),
        ("Compared", _compared(found)),
        ("Before", _before(found)),
        ("Lasting", _lasting(found)),
        ("Held back", _holds(found)),
        ("After", "; ".join(_event(event) for event in found.events) or f"{_status(found.after)}, nothing changed"),
        ("Told", _told(found)),
        ("History", _history(found)),
    ]


def _rule(found: Explanation) -> str:
    whom = found.tenant or "all tenants together"
    switched = "" if found.enabled else ", disabled"
    return f"{condition(found.rule)}, for {whom}{switched}"


def _judged(found: Explanation) -> str:
    if not found.when.is_known:
        return "when is not known, and is taken to be when the minute was due"
    after = (found.when.at - to_datetime(found.minute + 1)).total_seconds()
    return f"at {_moment(found.when.at)}, {after:,.0f} s after the minute had ended"


def _seen(found: Explanation) -> str:
    seen, rule = found.seen, found.rule
    value = "no value" if seen.value is None else amount(rule, seen.value)
    enough = "enough" if seen.samples >= rule.min_samples else "too few"
    return f"{value} from {seen.samples} samples, {enough}: it takes {rule.min_samples}"


def _compared(found: Explanation) -> str:
    rule, judged = found.rule, found.judged
    if judged is None:
        if not found.is_made:
            return "the rule was not made yet"
        return "there was nothing to judge" if found.enabled else "a disabled rule judges nobody"
    text = judged.verdict.reason
    if judged.verdict.value is not None and rule.recovery_threshold is not None:
        back = Operator(rule.operator).symbol
        text += f"; it recovers when it is not {back} {rule.recovery_threshold:g}"
    if judged.verdict.breach:
        return f"{text}: a breach"
    return f"{text}: recovered" if judged.verdict.recovered else f"{text}: neither a breach nor recovered"


def _before(found: Explanation) -> str:
    return ", ".join([_status(found.before), *_facts(found.before)])


def _lasting(found: Explanation) -> str:
    rule, state, minute = found.rule, found.after, found.minute
    if state.status is Status.PENDING and state.since is not None:
        return f"breached for {minute - state.since} of the {rule.pending_for} minutes after which it fires"
    if state.status is Status.FIRING and state.recovering_since is not None:
        return f"recovered for {minute - state.recovering_since} of the {rule.keep_firing_for} minutes after which it resolves"
    return f"fires after {rule.pending_for} minutes of breach, resolves after {rule.keep_firing_for} of recovery"


def _holds(found: Explanation) -> str:
    rule, told_at = found.rule, found.before.notified_at
    holds = [] if found.hold is None else [found.hold]
    if told_at is not None and found.minute - told_at < rule.cooldown:
        holds.append(f"the cooldown, until {isoformat(told_at + rule.cooldown)}")
    if found.before.acknowledged:
        holds.append("an acknowledgement holds back reminders")
    return "; ".join(holds) or "nothing"


def _told(found: Explanation) -> str:
    if not any(event.notice for event in found.events) and not found.deliveries:
        return "nobody"
    return "; ".join(_delivered(one) for one in found.deliveries) or "nobody: no channel of the rule was enabled"


def _history(found: Explanation) -> str:
    if found.differences:
        return f"it says something else: {'; '.join(found.differences)}"
    lines = "; ".join(
        f"{line.state.value if line.changed else f'still {line.state.value}'}, {'told' if line.notified else 'nobody told'}"
        for line in found.history
    )
    return f"agrees: {lines or 'it has nothing of this minute'}"


def _event(event: Event) -> str:
    notice = "nobody is told" if event.notice is None else f"a notification goes out ({event.notice.value})"
    state = event.state.value if event.changed else f"still {event.state.value}"
    return f"{state}: {event.reason}; {notice}"


def _delivered(one: Delivery) -> str:
    tries = f"{one.attempts} attempt{'' if one.attempts == 1 else 's'}"
    if one.delivered_at is not None:
        return f"{one.kind} arrived on {one.channel} at {one.delivered_at:%Y-%m-%dT%H:%M:%SZ}"
    text = (
        f"{one.kind} did not arrive on {one.channel} yet"
        if one.status == "pending"
        else f"{one.kind} is {one.status} on {one.channel}"
    )
    return f"{text}, {tries}{f', last error: {one.last_error}' if one.last_error else ''}"


def _reached(deliveries: list[Delivery]) -> str:
    if not deliveries:
        return "reached nobody: no channel of the rule was enabled"
    groups = {
        "arrived on": [one.channel for one in deliveries if one.delivered_at is not None],
        "has not arrived yet on": [one.channel for one in deliveries if one.status == "pending"],
        "did not arrive on": [one.channel for one in deliveries if one.status == "dead"],
    }
    return " and ".join(f"{what} {', '.join(dict.fromkeys(names))}" for what, names in groups.items() if names)


def _calm(found: Explanation) -> str:
    if found.judged is None:
        if not found.is_made:
            return "the rule was not made yet"
        if not found.enabled:
            return "the rule was disabled"
        return (
            f"{found.seen.samples} samples, no breach, and nothing was open"
            if found.seen.samples
            else "no data, and nothing was open"
        )
    reason = found.judged.verdict.reason
    if found.after.status is not Status.FIRING:
        return f"{reason}, still {_status(found.after)}"
    quiet = "acknowledged" if found.after.acknowledged else _holds(found)
    return f"{reason}, still firing, and nothing is due ({quiet})"


def _status(state: State) -> str:
    return "firing" if state.status is Status.FIRING else state.status.value


def _facts(state: State) -> Iterator[str]:
    if state.since is not None:
        yield f"breached since {isoformat(state.since)}"
    if state.recovering_since is not None:
        yield f"recovering since {isoformat(state.recovering_since)}"
    if state.notified_at is not None:
        yield f"last told at {isoformat(state.notified_at)}"
    if state.announced:
        yield "announced"
    if state.acknowledged:
        yield f"acknowledged as {state.acknowledged}"


def _state(state: State) -> dict[str, Any]:
    minutes = ("since", "recovering_since", "notified_at")
    return {
        "status": state.status.value,
        **{name: None if getattr(state, name) is None else isoformat(getattr(state, name)) for name in minutes},
        "announced": state.announced,
        "acknowledged": bool(state.acknowledged),
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"
