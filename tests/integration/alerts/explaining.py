"""What explain finds anew, beside what evaluation wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from apps.monitoring.alerts.explain import explain
from apps.monitoring.alerts.explanation import Explanation, steps
from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.ingest.buffer import Event
from apps.monitoring.models import (
    AlertRule,
    AlertTransition,
    AuditEntry,
    Channel,
)
from tests.integration.alerts.judged import FAST, SLOW, answered, end_of
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send


def stored(one: AlertRule, tenant: str, minute: int) -> list[tuple[Any, ...]]:
    """What the history has of a minute."""
    lines = AlertTransition.objects.filter(rule=one, tenant=tenant, minute=to_datetime(minute)).order_by("id")
    return [(line.state, line.event == "transition", line.notified, line.value, line.samples, line.reason) for line in lines]


def explained(found: Explanation) -> list[tuple[Any, ...]]:
    """The same as explain finds it anew."""
    seen = found.judged.verdict if found.judged is not None else None
    return [
        (event.state.value, event.changed, event.notice is not None, seen.value, seen.samples, event.reason)
        for event in found.events
        if seen is not None
    ]


def agrees(one: AlertRule, tenant: str, minute: int) -> Explanation:
    found = explain(one, tenant or None, minute)
    assert explained(found) == stored(one, tenant, minute), (one.name, tenant, isoformat(minute))
    assert (found.differences, found.remarks[1:]) == ([], []), (one.name, tenant, isoformat(minute))
    return found


def course(pattern: str) -> Mapping[int, Sequence[Event]]:
    """One answer a minute: S is slow, f is fast, a dot is none."""
    return {
        offset: answered(SLOW if kind == "S" else FAST, offset=offset) for offset, kind in enumerate(pattern) if kind != "."
    }


def made_before(one: AlertRule) -> AlertRule:
    """As if the rule had been made before the data, in whose time it is judged."""
    AuditEntry.objects.filter(object_id=one.pk, kind="rule").update(at=to_datetime(MINUTE - 60))
    return one


def text(found: Explanation, title: str) -> str:
    return dict(steps(found))[title]


def edited(channel: Channel, offset: int, **fields: Any) -> None:
    """As if it had been made before the data, and edited before the minute at an offset was judged."""
    AuditEntry.objects.filter(kind="channel", action="created").update(at=to_datetime(MINUTE - 60))
    known = list(AuditEntry.objects.values_list("pk", flat=True))
    for name, value in fields.items():
        setattr(channel, name, value)
    channel.save()
    AuditEntry.objects.exclude(pk__in=known).update(at=datetime.fromtimestamp(end_of(offset - 1) + 20, UTC))


def changed(one: AlertRule, at: float, by: str = "ops", **fields: Any) -> None:
    """As if the rule had been edited at a moment."""
    for name, value in fields.items():
        setattr(one, name, value)
    one.save()
    last = AuditEntry.objects.filter(kind="rule").latest("id")
    AuditEntry.objects.filter(pk=last.pk).update(at=datetime.fromtimestamp(at, UTC), actor=by)


def waited(count: int) -> None:
    """Slow minutes that are complete, and judged by nobody yet, as if what was made had been made long before."""
    send(*(event for offset in range(count) for event in answered(SLOW, offset=offset)))
    roll_up(end_of(count - 1))
    AuditEntry.objects.filter(action="created").update(at=to_datetime(MINUTE - 60))
