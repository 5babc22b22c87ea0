"""What the product has decided so far, read in one snapshot of the database and spelled as the oracle spells it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from apps.monitoring.models import Alert, AlertState, AlertTransition, EvaluationProgress, Notification
from tests.oracle import timeline
from tests.oracle.timeline import Line

MINUTE = timedelta(minutes=1)
Instance = tuple[str, str, int]
"""Rule, tenant and a minute from the start."""

_WHY = {
    "held back: cooldown until": timeline.COOLING,
    "its firing was never announced": timeline.UNANNOUNCED,
    "no longer held back": timeline.LATE,
    "still firing after": timeline.STILL,
}


@dataclass(frozen=True)
class Stored:
    """``until`` is the first minute not judged, counted from the start like every other minute here."""

    until: int
    history: list[Line]
    fired: list[Instance]
    resolved: list[Instance]
    firing_now: int
    notifications: dict[str, Notification]

    @property
    def delivered(self) -> bool:
        return all(row.status == Notification.Status.DELIVERED for row in self.notifications.values())


def stored(start: datetime) -> Stored | None:
    """None before anything was judged."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        progress = EvaluationProgress.objects.first()
        if progress is None:
            return None
        alerts = list(Alert.objects.all())
        return Stored(
            until=(progress.next_minute - start) // MINUTE,
            history=[_line(row, start) for row in AlertTransition.objects.all()],
            fired=sorted((a.rule_name, a.tenant, (a.fired_at - start) // MINUTE) for a in alerts),
            resolved=sorted(
                (a.rule_name, a.tenant, (a.resolved_at - start) // MINUTE) for a in alerts if a.resolved_at is not None
            ),
            firing_now=AlertState.objects.filter(status="firing").count(),
            notifications={row.id.hex: row for row in Notification.objects.select_related("channel")},
        )


def _line(row: AlertTransition, start: datetime) -> Line:
    why = next((why for words, why in _WHY.items() if words in row.reason), timeline.OK)
    kind = timeline.REMINDER if why == timeline.STILL else row.state
    return Line(
        rule=row.rule_name,
        tenant=row.tenant,
        minute=(row.minute - start) // MINUTE,
        state=row.state,
        changed=row.event == AlertTransition.Event.TRANSITION,
        value=row.value,
        samples=row.samples,
        kind=kind if row.notified else None,
        why=why,
    )
