"""Somebody looks after an alert: news for the channels that were told of it and want to hear that."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.models import Alert, Notification
from apps.monitoring.notify import channels, outbox, pages
from apps.monitoring.notify.announcements import announcements
from apps.monitoring.notify.facts import facts_of
from apps.monitoring.notify.message import WORST, Message


def tell(alerts: Collection[Alert], who: str, now: datetime) -> list[uuid.UUID]:
    """Tell every channel that hears of acknowledgements and was told of the alerts; call it in their transaction."""
    by_rule: dict[int, list[Alert]] = defaultdict(list)
    for alert in alerts:
        if alert.rule_id is not None:
            by_rule[alert.rule_id].append(alert)
    rows = [_row(opener, of_rule, who, now) for rule, of_rule in by_rule.items() for opener in _told(rule, of_rule)]
    Notification.objects.bulk_create(rows)
    for row in rows:
        outbox.ask(row.channel_id)
    return [row.pk for row in rows]


def _told(rule: int, alerts: Sequence[Alert]) -> list[Notification]:
    """For each channel, the first notification that named one of them."""
    told = announcements(rule, [alert.pk for alert in alerts]).filter(
        channel__enabled=True, channel__kind__in=channels.HEARING_ACKNOWLEDGEMENTS
    )
    return list(told.order_by("channel_id", "created_at").distinct("channel_id"))


def _row(opener: Notification, alerts: Sequence[Alert], who: str, now: datetime) -> Notification:
    identity, minute = uuid.uuid4(), minute_of(now.timestamp())
    said = Message.from_payload(opener.payload)
    whom = alerts[0].tenant or "all tenants" if len(alerts) == 1 else f"{len(alerts)} tenants"
    message = replace(
        said,
        id=str(identity),
        kind=Notification.Kind.ACKNOWLEDGED.value,
        minute=isoformat(minute),
        count=len(alerts),
        alerts=[facts_of(said.rule, alert, f"acknowledged by {who}") for alert in alerts[:WORST]],
        text=f"{who} looks after {said.rule.name} for {whom}.",
        links={
            **pages.about_all(said.rule, [(alert.tenant, alert.pk) for alert in alerts]),
            "runbook": said.rule.runbook_url,
        },
    )
    return Notification(
        id=identity,
        channel_id=opener.channel_id,
        rule_id=opener.rule_id,
        kind=Notification.Kind.ACKNOWLEDGED,
        minute=to_datetime(minute),
        payload=message.payload(),
        alert_ids=[alert.pk for alert in alerts],
        next_attempt_at=now,
    )
