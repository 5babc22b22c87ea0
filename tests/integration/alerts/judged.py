"""Minutes played one after the other: recorded, rolled up and judged as they end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import connection

from apps.monitoring.alerts.evaluate import Report, evaluate
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.ingest.buffer import Event
from apps.monitoring.models import AlertRule, AlertState, AlertTransition, AuditEntry, Channel, Judging, Notification
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import roll_up, send

SLOW, FAST = 9_000.0, 100.0


def rule(name: str = "slow", **changes: Any) -> AlertRule:
    given: dict[str, Any] = {
        "name": name,
        "metric": "response_time",
        "statistic": "max",
        "operator": "gt",
        "threshold": 5_000.0,
        "window_minutes": 1,
        "min_samples": 1,
        "cooldown_minutes": 5,
        **changes,
    }
    made = AlertRule(**given)
    made.save()
    return made


def channel() -> Channel:
    return Channel.objects.create(name="log", kind="log", is_default=True)


def answered(ms: float, tenant: str = "acme", offset: int = 0, times: int = 1, **more: Any) -> list[Event]:
    return [interaction(n, tenant, MINUTE + offset, processing_time_ms=ms, **more) for n in range(times)]


def end_of(offset: int) -> float:
    """When the minute at an offset is due, in epoch seconds."""
    return (MINUTE + offset + 1) * 60.0 + 6


def play(minutes: Mapping[int, Sequence[Event]], until: int, start: int = 0) -> list[Report]:
    """Each minute of ``[start, until)`` is recorded, rolled up and judged when it is due.

    What was made by now is as if it had been made before the first minute.
    """
    made = AuditEntry.objects.filter(action=AuditEntry.Action.CREATED, at__gt=to_datetime(MINUTE + 7 * 1_440))
    made.update(at=to_datetime(MINUTE - 60))
    reports = []
    for offset in range(start, until):
        if minutes.get(offset):
            send(*minutes[offset])
        roll_up(end_of(offset))
        reports.append(evaluate(end_of(offset)))
        judged_at(end_of(offset))
    return reports


def judged_at(now: float) -> None:
    """As if what the database's clock says to be judged now had been judged at another time."""
    just_now = Judging.objects.filter(at__gt=to_datetime(MINUTE + 7 * 1_440))
    just_now.update(at=datetime.fromtimestamp(now, UTC))


def history(name: str = "slow", tenant: str = "acme") -> list[tuple[int, str, bool]]:
    """Minute offset, state, and whether somebody was notified."""
    lines = AlertTransition.objects.filter(rule_name=name, tenant=tenant)
    return [(to_minute(line.minute) - MINUTE, line.state, line.notified) for line in lines]


def everything() -> dict[str, list[Any]]:
    """All that evaluation wrote, without ids and wall-clock times."""
    fields = ("rule_name", "tenant", "minute", "event", "state", "value", "samples", "notified", "reason")
    kept = (
        "rule__name",
        "tenant",
        "status",
        "since",
        "recovering_since",
        "notified_at",
        "announced",
        "owed__fired_at",
        "acknowledged",
    )
    return {
        "history": sorted(AlertTransition.objects.values_list(*fields), key=str),
        "states": sorted(AlertState.objects.values_list(*kept), key=str),
        "notifications": sorted(Notification.objects.values_list("rule__name", "channel__name", "minute", "kind"), key=str),
        "alerts": sorted(
            AlertTransition.objects.filter(alert__isnull=False).values_list(
                "alert__fired_at", "alert__resolved_at", "alert__tenant"
            ),
            key=str,
        ),
    }


def mixed() -> dict[int, list[Event]]:
    """Three tenants over twenty minutes: slow at times, failing at times, silent at times."""
    minutes: dict[int, list[Event]] = {}
    for offset in range(20):
        minutes[offset] = [
            *answered(SLOW if offset % 7 in {2, 3, 4} else FAST, "acme", offset, 4),
            *answered(SLOW if offset in {3, 4, 5, 15} else FAST, "bolt", offset, 3, handoff_triggered=offset in {6, 7}),
        ]
        if not 8 <= offset < 12:
            minutes[offset] += answered(FAST, "cyan", offset, 5, agent_response=None if offset in {5, 6} else "yes")
    return minutes


def several_rules() -> None:
    """Of every kind, on one channel."""
    channel()
    rule("slow")
    rule("slow-for", for_minutes=2, keep_firing_for_minutes=1)
    rule("silent", no_data="alert", metric="interactions", statistic="count", operator="lt", threshold=1.0)
    rule("errors", metric="error_rate", statistic="ratio", threshold=0.2, window_minutes=3)
    rule("handoffs", metric="handoff_rate", statistic="ratio", threshold=0.3, window_minutes=2)
    rule("all-slow", scope="global", statistic="p95", window_minutes=5, cooldown_minutes=3)
    rule("one-slow", scope="one_tenant", tenant="bolt", statistic="mean", window_minutes=2)


def forget() -> None:
    """As if nothing had been recorded and judged."""
    with connection.cursor() as cursor:
        cursor.execute(
            "TRUNCATE monitoring_metricsnapshot, monitoring_series, monitoring_rollupbatch, monitoring_shardprogress, "
            "monitoring_evaluationprogress, monitoring_alerttransition, monitoring_alertstate, monitoring_alert, "
            "monitoring_notification CASCADE"
        )
    from apps.monitoring.rollup import batches

    batches.forget()
