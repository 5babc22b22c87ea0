"""What a judged minute leaves behind: states, alerts, history and outbox rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from apps.monitoring.alerts import tables
from apps.monitoring.alerts.tables import Line, NewAlert, StoredState
from apps.monitoring.core.clock import isoformat, to_minute
from apps.monitoring.core.lifecycle import Event, Notice, State, Status
from apps.monitoring.core.rules import Rule, Verdict, subject
from apps.monitoring.models import Alert, AlertRule, AlertTransition
from apps.monitoring.notify import outbox

_REASON: Final = 300
_ORDER: Final = (Notice.RESOLVED, Notice.FIRING, Notice.REMINDER)
"""Of the notices of one minute: what has ended is told before what begins."""


@dataclass(slots=True)
class Change:
    """What one minute did to one tenant of a rule.

    ``alert`` fires afterwards, and nobody has been told that ``owed`` has ended; ``about`` is the alert of each event: all
    of them by number. ``looked_after`` says who had taken the alert on, when the minute ends that.
    """

    tenant: str
    row: StoredState | None
    after: State
    verdict: Verdict
    events: list[Event]
    alert: int | None = None
    owed: int | None = None
    about: list[int | None] = field(default_factory=list)
    looked_after: str = ""

    @property
    def lines(self) -> Iterator[tuple[Event, int | None]]:
        """Each event with its alert."""
        return zip(self.events, self.about, strict=True)


def state_of(row: StoredState) -> State:
    """The pure state of a stored one."""
    return State(
        status=Status(row.status),
        since=row.since,
        recovering_since=row.recovering_since,
        notified_at=row.notified_at,
        announced=row.announced,
        owed=row.owed is not None,
        acknowledged=row.acknowledged,
    )


def write(rule: AlertRule, definition: Rule, minute: int, changes: Sequence[Change], channels: Sequence[int]) -> int:
    """Store everything that follows from a minute; returns the number of state transitions.

    ``channels`` are those that it was judged with: else one that is switched off meanwhile has been told by the history alone.
    Call it in the transaction that judges the minute, so that a state never changes without its notification.
    """
    begun = _write_alerts(rule, minute, changes)
    _end_acknowledgements(changes)
    _write_states(rule, definition, minute, changes)
    _write_history(rule, minute, changes)
    _write_notifications(rule, minute, changes, begun, channels)
    return sum(event.changed for change in changes for event in change.events)


def _write_alerts(rule: AlertRule, minute: int, changes: Sequence[Change]) -> dict[int, int]:
    """An alert begins when a rule fires and ends when it resolves. Returns since when the breach of each new one is."""
    numbers = iter(tables.next_alerts(sum(_begins(event) for change in changes for event in change.events)))
    begun: list[NewAlert] = []
    ended: list[int] = []
    since: dict[int, int] = {}
    fired_at = isoformat(minute)
    for change in changes:
        if change.row is not None:
            change.alert, change.owed = change.row.alert, change.row.owed
        for event in change.events:
            if _begins(event):
                change.alert = number = next(numbers)
                since[number] = minute if change.after.since is None else change.after.since
                begun.append(_alert(rule, number, change, isoformat(since[number]), fired_at))
            change.about.append(change.owed if event.late else change.alert)
            if event.late:
                change.owed = None
            elif event.changed and event.state is Status.RESOLVED:
                if change.alert is not None:
                    ended.append(change.alert)
                if change.after.owed and change.owed is None:  # else it is the end of an earlier one that is owed still
                    change.owed = change.alert
                change.alert = None
    tables.begin(begun)
    tables.resolve(ended, minute)
    return since


def _begins(event: Event) -> bool:
    return event.changed and event.state is Status.FIRING


def _alert(rule: AlertRule, number: int, change: Change, since: str, fired_at: str) -> NewAlert:
    seen = change.verdict
    return NewAlert(
        number, rule.pk, rule.name, change.tenant, rule.severity, since, fired_at, seen.value, rule.threshold, seen.samples
    )


def _end_acknowledgements(changes: Sequence[Change]) -> None:
    """Where the severity has risen nobody looks after the alert any more; the history keeps who did."""
    opened = {change.alert: change for change in changes if change.alert is not None and _is_opened(change)}
    if not opened:
        return
    alerts = Alert.objects.filter(pk__in=opened)
    for alert in alerts.select_related("acknowledged_by"):
        who = alert.acknowledged_by
        at = alert.acknowledged_at
        when = "" if at is None else f" at {isoformat(to_minute(at))}"
        opened[alert.pk].looked_after = f"acknowledged by {'somebody' if who is None else who.get_username()}{when}"
    alerts.update(acknowledged_at=None, acknowledged_by=None, acknowledgement_note="")


def _is_opened(change: Change) -> bool:
    acknowledged = change.row is not None and change.row.acknowledged
    return bool(acknowledged) and not change.after.acknowledged and change.after.status is Status.FIRING


def _write_states(rule: AlertRule, definition: Rule, minute: int, changes: Sequence[Change]) -> None:
    own = subject(definition)
    kept: list[StoredState] = []
    idle: list[int] = []
    for change in changes:
        number = None if change.row is None else change.row.number
        if not change.after.is_idle(minute, definition.cooldown):
            kept.append(_row(number, own, change))
        elif number is not None:
            idle.append(number)
    tables.forget(idle)
    tables.keep(rule.pk, kept)


def _row(number: int | None, own: str, change: Change) -> StoredState:
    after = change.after
    return StoredState(
        number,
        change.tenant,
        after.status.value,
        after.since,
        after.recovering_since,
        after.notified_at,
        after.announced,
        after.acknowledged,
        change.alert,
        change.owed,
        own,
    )


def _write_history(rule: AlertRule, minute: int, changes: Sequence[Change]) -> None:
    moment, name, number = isoformat(minute), rule.name, rule.pk
    changed, said = (kind.value for kind in (AlertTransition.Event.TRANSITION, AlertTransition.Event.REMINDER))
    tables.tell(
        [
            Line(
                number,
                name,
                change.tenant,
                moment,
                changed if event.changed else said,
                event.state.value,
                change.verdict.value,
                change.verdict.samples,
                event.notice is not None,
                _reason(change, event),
                alert,
            )
            for change in changes
            for event, alert in change.lines
        ]
    )


def _reason(change: Change, event: Event) -> str:
    reason = event.reason if event.late or not change.looked_after else f"{event.reason} ({change.looked_after})"
    return reason[:_REASON]


def _write_notifications(
    rule: AlertRule, minute: int, changes: Sequence[Change], begun: Mapping[int, int], channels: Sequence[int]
) -> None:
    """One notification a channel for each kind of notice, however many tenants it is about."""
    told = [(change, event, alert) for change in changes for event, alert in change.lines if event.notice is not None]
    since = {**begun, **tables.begun([alert for _, _, alert in told if alert is not None and alert not in begun])}
    ends = _ends_before(changes)
    notices: dict[Notice | None, list[outbox.Instance]] = defaultdict(list)
    for change, event, alert in told:
        notices[event.notice].append(_instance(minute, change, event, alert, since, ends))
    for notice in _ORDER:
        if notices[notice]:
            outbox.enqueue(rule, notice, minute, notices[notice], channels)


def _instance(
    minute: int,
    change: Change,
    event: Event,
    alert: int | None,
    begun: Mapping[int, int],
    ends: Mapping[int, AlertTransition],
) -> outbox.Instance:
    since = minute if change.after.since is None else change.after.since
    end = None if alert is None else ends.get(alert)
    seen = change.verdict if end is None else end
    began = since if alert is None else begun.get(alert, since)
    return outbox.Instance(
        change.tenant,
        seen.value,
        seen.samples,
        began,
        event.reason,
        alert,
        lasted=_lasted(event, began, minute, end),
        is_late=event.late,
    )


def _lasted(event: Event, began: int, minute: int, end: AlertTransition | None) -> int:
    """Of an end the minutes since it began; 0 where that cannot be said."""
    if event.state is not Status.RESOLVED:
        return 0
    if event.late:
        return 0 if end is None else to_minute(end.minute) - began
    return minute - began


def _ends_before(changes: Sequence[Change]) -> dict[int, AlertTransition]:
    """Of the alerts whose end is told late, the line of the history that says how they ended."""
    late = [alert for change in changes for event, alert in change.lines if event.late and alert is not None]
    if not late:
        return {}
    lines = AlertTransition.objects.filter(alert__in=late, state=Status.RESOLVED.value, event=AlertTransition.Event.TRANSITION)
    return {line.alert_id: line for line in lines if line.alert_id is not None}
