"""What a judged minute leaves behind: states, alerts, history and outbox rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.lifecycle import Event, Notice, State, Status
from apps.monitoring.core.rules import Rule, Verdict, subject
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition
from apps.monitoring.notify import outbox


@dataclass(slots=True)
class Change:
    """What one minute did to one tenant of a rule."""

    tenant: str
    row: AlertState | None
    after: State
    verdict: Verdict
    events: list[Event]
    alert: Alert | None = None


def state_of(row: AlertState) -> State:
    """The pure state of a stored one."""
    return State(
        status=Status(row.status),
        since=_minute(row.since),
        recovering_since=_minute(row.recovering_since),
        notified_at=_minute(row.notified_at),
        announced=row.announced,
        acknowledged=row.acknowledged,
    )


def write(rule: AlertRule, definition: Rule, minute: int, changes: Sequence[Change]) -> int:
    """Store everything that follows from a minute; returns the number of state transitions.

    Call it in the transaction that judges the minute, so that a state never changes without its notification.
    """
    moment = to_datetime(minute)
    _write_alerts(rule, moment, changes)
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
            reason=event.reason[:300],
            alert=change.alert,
        )
        for change in changes
        for event in change.events
    ]
    AlertTransition.objects.bulk_create(lines)
    _write_notifications(rule, minute, changes)
    return sum(line.event == AlertTransition.Event.TRANSITION for line in lines)


def _write_alerts(rule: AlertRule, moment: datetime, changes: Sequence[Change]) -> None:
    """An alert begins when a rule fires and ends when it resolves."""
    begun: list[Alert] = []
    ended: list[int] = []
    known = Alert.objects.in_bulk({change.row.alert_id for change in changes if change.row is not None and change.row.alert_id})
    for change in changes:
        change.alert = None if change.row is None else known.get(change.row.alert_id or 0)
        for event in change.events:
            if event.changed and event.state is Status.FIRING:
                change.alert = Alert(
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
                begun.append(change.alert)
            elif event.changed and event.state is Status.RESOLVED and change.alert is not None:
                ended.append(change.alert.pk)
    Alert.objects.bulk_create(begun)
    Alert.objects.filter(pk__in=ended).update(resolved_at=moment)


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
        update_fields=["status", "since", "recovering_since", "notified_at", "announced", "acknowledged", "alert", "subject"],
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
        subject=own,
    )


def _write_notifications(rule: AlertRule, minute: int, changes: Sequence[Change]) -> None:
    """One notification a channel for each kind of notice, however many tenants it is about."""
    told: dict[Notice, list[outbox.Instance]] = defaultdict(list)
    for change in changes:
        for event in change.events:
            if event.notice is not None:
                since = change.after.since if change.after.since is not None else minute
                if change.alert is not None:
                    since = to_minute(change.alert.since)
                told[event.notice].append(
                    outbox.Instance(
                        tenant=change.tenant,
                        value=change.verdict.value,
                        samples=change.verdict.samples,
                        since=since,
                        reason=event.reason,
                        alert=None if change.alert is None else change.alert.pk,
                    )
                )
    for notice, instances in told.items():
        outbox.enqueue(rule, notice, minute, instances)


def _minute(moment: datetime | None) -> int | None:
    return None if moment is None else to_minute(moment)


def _moment(minute: int | None) -> datetime | None:
    return None if minute is None else to_datetime(minute)
