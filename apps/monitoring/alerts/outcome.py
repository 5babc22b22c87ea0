"""What a judged minute leaves behind: states, alerts, history and outbox rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from apps.monitoring.core.clock import isoformat, to_datetime, to_minute
from apps.monitoring.core.lifecycle import Event, Notice, State, Status
from apps.monitoring.core.rules import Rule, Verdict, subject
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition
from apps.monitoring.notify import outbox

_REASON: Final = 300
_ORDER: Final = (Notice.RESOLVED, Notice.FIRING, Notice.REMINDER)
"""Of the notices of one minute: what has ended is told before what begins."""


@dataclass(slots=True)
class Change:
    """What one minute did to one tenant of a rule.

    ``alert`` fires afterwards, and nobody has been told that ``owed`` has ended. ``about`` is the alert of each event;
    ``looked_after`` says who had taken the alert on, when the minute ends that.
    """

    tenant: str
    row: AlertState | None
    after: State
    verdict: Verdict
    events: list[Event]
    alert: Alert | None = None
    owed: Alert | None = None
    about: list[Alert | None] = field(default_factory=list)
    looked_after: str = ""

    @property
    def lines(self) -> list[tuple[Event, Alert | None]]:
        """Each event with its alert."""
        return list(zip(self.events, self.about, strict=True))


def state_of(row: AlertState) -> State:
    """The pure state of a stored one."""
    return State(
        status=Status(row.status),
        since=_minute(row.since),
        recovering_since=_minute(row.recovering_since),
        notified_at=_minute(row.notified_at),
        announced=row.announced,
        owed=row.owed_id is not None,
        acknowledged=row.acknowledged,
    )


def write(rule: AlertRule, definition: Rule, minute: int, changes: Sequence[Change]) -> int:
    """Store everything that follows from a minute; returns the number of state transitions.

    Call it in the transaction that judges the minute, so that a state never changes without its notification.
    """
    moment = to_datetime(minute)
    _find_alerts(changes)
    _write_alerts(rule, moment, changes)
    _end_acknowledgements(changes)
    _write_states(rule, definition, minute, changes)
    lines = [
        AlertTransition(
            rule=rule,
            rule_name=rule.name,
            tenant=change.tenant,
            minute=moment,
            event=AlertTransition.Event.TRANSITION if event.changed else AlertTransition.Event.REMINDER,
            state=event.state.value,
            value=change.verdict.value,
            samples=change.verdict.samples,
            notified=event.notice is not None,
            reason=_reason(change, event),
            alert=alert,
        )
        for change in changes
        for event, alert in change.lines
    ]
    AlertTransition.objects.bulk_create(lines)
    _write_notifications(rule, minute, changes)
    return sum(line.event == AlertTransition.Event.TRANSITION for line in lines)


def _find_alerts(changes: Sequence[Change]) -> None:
    """What the states knew before the minute."""
    rows = [change.row for change in changes if change.row is not None]
    known = Alert.objects.select_related("acknowledged_by").in_bulk(
        {pk for row in rows for pk in (row.alert_id, row.owed_id) if pk is not None}
    )
    for change in changes:
        if change.row is not None:
            change.alert = known.get(change.row.alert_id or 0)
            change.owed = known.get(change.row.owed_id or 0)


def _write_alerts(rule: AlertRule, moment: datetime, changes: Sequence[Change]) -> None:
    """An alert begins when a rule fires and ends when it resolves."""
    begun: list[Alert] = []
    ended: list[int] = []
    for change in changes:
        for event in change.events:
            if event.changed and event.state is Status.FIRING:
                change.alert = _alert(rule, moment, change)
                begun.append(change.alert)
            change.about.append(change.owed if event.late else change.alert)
            if event.late:
                change.owed = None
            elif event.changed and event.state is Status.RESOLVED:
                if change.alert is not None:
                    ended.append(change.alert.pk)
                if change.after.owed and change.owed is None:  # else it is the end of an earlier one that is owed still
                    change.owed = change.alert
                change.alert = None
    Alert.objects.bulk_create(begun)
    Alert.objects.filter(pk__in=ended).update(resolved_at=moment)


def _end_acknowledgements(changes: Sequence[Change]) -> None:
    """Where the severity has risen nobody looks after the alert any more; the history keeps who did."""
    opened: list[int] = []
    for change in changes:
        before = "" if change.row is None else change.row.acknowledged
        if change.alert is None or not before or change.after.acknowledged or change.after.status is not Status.FIRING:
            continue
        opened.append(change.alert.pk)
        who = change.alert.acknowledged_by
        at = change.alert.acknowledged_at
        when = "" if at is None else f" at {isoformat(to_minute(at))}"
        change.looked_after = f"acknowledged by {'somebody' if who is None else who.get_username()}{when}"
    Alert.objects.filter(pk__in=opened).update(acknowledged_at=None, acknowledged_by=None, acknowledgement_note="")


def _reason(change: Change, event: Event) -> str:
    reason = event.reason if event.late or not change.looked_after else f"{event.reason} ({change.looked_after})"
    return reason[:_REASON]


def _alert(rule: AlertRule, moment: datetime, change: Change) -> Alert:
    return Alert(
        rule=rule,
        rule_name=rule.name,
        tenant=change.tenant,
        severity=rule.severity,
        since=to_datetime(change.after.since) if change.after.since is not None else moment,
        fired_at=moment,
        value=change.verdict.value,
        threshold=rule.threshold,
        samples=change.verdict.samples,
    )


def _write_states(rule: AlertRule, definition: Rule, minute: int, changes: Sequence[Change]) -> None:
    own = subject(definition)
    kept: list[AlertState] = []
    idle: list[int] = []
    for change in changes:
        if not change.after.is_idle(minute, definition.cooldown):
            kept.append(_row(rule, own, change))
        elif change.row is not None:
            idle.append(change.row.pk)
    AlertState.objects.filter(pk__in=idle).delete()
    AlertState.objects.bulk_create(
        kept,
        update_conflicts=True,
        unique_fields=["rule", "tenant"],
        update_fields=[
            "status",
            "since",
            "recovering_since",
            "notified_at",
            "announced",
            "acknowledged",
            "alert",
            "owed",
            "subject",
        ],
    )


def _row(rule: AlertRule, own: str, change: Change) -> AlertState:
    after = change.after
    return AlertState(
        rule=rule,
        tenant=change.tenant,
        status=after.status.value,
        since=_moment(after.since),
        recovering_since=_moment(after.recovering_since),
        notified_at=_moment(after.notified_at),
        announced=after.announced,
        acknowledged=after.acknowledged,
        alert=change.alert,
        owed=change.owed,
        subject=own,
    )


def _write_notifications(rule: AlertRule, minute: int, changes: Sequence[Change]) -> None:
    """One notification a channel for each kind of notice, however many tenants it is about."""
    told: dict[Notice, list[outbox.Instance]] = defaultdict(list)
    ends = _ends_before(changes)
    for change in changes:
        for event, alert in change.lines:
            if event.notice is not None:
                told[event.notice].append(_instance(minute, change, event, alert, ends))
    for notice in _ORDER:
        if told[notice]:
            outbox.enqueue(rule, notice, minute, told[notice])


def _instance(
    minute: int, change: Change, event: Event, alert: Alert | None, ends: Mapping[int, AlertTransition]
) -> outbox.Instance:
    since = change.after.since if change.after.since is not None else minute
    if alert is None:
        return outbox.Instance(change.tenant, change.verdict.value, change.verdict.samples, since, event.reason)
    seen = ends.get(alert.pk, change.verdict) if event.late else change.verdict
    return outbox.Instance(change.tenant, seen.value, seen.samples, to_minute(alert.since), event.reason, alert.pk)


def _ends_before(changes: Sequence[Change]) -> dict[int, AlertTransition]:
    """Of the alerts whose end is told late, the line of the history that says how they ended."""
    late = [alert.pk for change in changes for event, alert in change.lines if event.late and alert is not None]
    if not late:
        return {}
    lines = AlertTransition.objects.filter(alert__in=late, state=Status.RESOLVED.value, event=AlertTransition.Event.TRANSITION)
    return {line.alert_id: line for line in lines if line.alert_id is not None}


def _minute(moment: datetime | None) -> int | None:
    return None if moment is None else to_minute(moment)


def _moment(minute: int | None) -> datetime | None:
    return None if minute is None else to_datetime(minute)
