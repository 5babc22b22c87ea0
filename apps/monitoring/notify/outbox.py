"""Write a notification beside the decision it follows from, and see that somebody delivers it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.core.rules import Operator
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify.message import WORST, AlertFacts, Message, RuleFacts, render

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Instance:
    """One tenant that a notification is about; ``since`` is a minute, ``alert`` the id of the alert."""

    tenant: str
    value: float | None
    samples: int
    since: int
    reason: str
    alert: int | None = None


def enqueue(rule: AlertRule, notice: Notice, minute: int, instances: Sequence[Instance]) -> list[uuid.UUID]:
    """One notification for each channel of the rule, however many tenants it is about.

    Call it in the transaction that decides. After the commit the delivery is asked for; if the broker does not take
    that, the sweep finds the rows.
    """
    facts = _facts(rule)
    worst = _worst_first(rule, instances)
    rows = []
    for channel in _channels(rule):
        identity = uuid.uuid4()
        message = Message(
            id=str(identity),
            kind=notice.value,
            rule=facts,
            minute=isoformat(minute),
            count=len(worst),
            alerts=[_alert(instance) for instance in worst[:WORST]],
            text=render(rule.message_template, facts, notice.value, len(worst), _alert(worst[0])),
            links={"dashboard": f"{settings.MONITORING_BASE_URL}/dashboard/", "runbook": rule.runbook_url},
        )
        rows.append(_row(identity, channel, rule, notice.value, minute, message))
    Notification.objects.bulk_create(rows)
    for row in rows:
        ask(row.channel_id)
    return [row.id for row in rows]


def send_test(channel: Channel) -> Notification:
    """A notification that says it is a test, delivered like any other."""
    identity = uuid.uuid4()
    facts = RuleFacts("test", "test", "count", "gt", 0, "count", 1, "info", "")
    minute = minute_of(timezone.now().timestamp())
    alert = AlertFacts(None, None, 0, isoformat(minute), "this is a test", {})
    links = {"dashboard": f"{settings.MONITORING_BASE_URL}/dashboard/"}
    text = f"A test of the channel {channel.name}. Nothing is wrong."
    message = Message(str(identity), "test", facts, isoformat(minute), 1, [alert], text, links)
    row = _row(identity, channel, None, "test", minute, message)
    row.save(force_insert=True)
    ask(channel.pk)
    return row


def resend(notification: Notification) -> None:
    """Try a notification again from the beginning, under its own id."""
    now = timezone.now()
    Notification.objects.filter(pk=notification.pk).exclude(status=Notification.Status.DELIVERED).update(
        status=Notification.Status.PENDING, next_attempt_at=now, attempts=0, first_attempt_at=None, leased_until=None
    )
    ask(notification.channel_id)


def ask(channel_id: int) -> None:
    """After the commit, ask a worker to deliver what is due on a channel."""

    def send() -> None:
        try:
            current_app.send_task("monitoring.deliver_channel", args=[channel_id], queue="notifications", retry=False)
        except Exception as error:
            _log.warning("the broker takes no delivery task, the sweep will find the notification: %s", error)

    transaction.on_commit(send)


def _channels(rule: AlertRule) -> list[Channel]:
    own = [channel for channel in rule.channels.all() if channel.enabled]
    if own or rule.channels.exists():
        return own
    return list(Channel.objects.filter(is_default=True, enabled=True))


def _worst_first(rule: AlertRule, instances: Sequence[Instance]) -> list[Instance]:
    low_is_bad = rule.operator in {Operator.LT, Operator.LTE}

    def badness(instance: Instance) -> tuple[bool, float, str]:
        value = instance.value or 0.0
        return (instance.value is None, value if low_is_bad else -value, instance.tenant)

    return sorted(instances, key=badness)


def _row(
    identity: uuid.UUID, channel: Channel, rule: AlertRule | None, kind: str, minute: int, message: Message
) -> Notification:
    return Notification(
        id=identity,
        channel=channel,
        rule=rule,
        kind=kind,
        minute=to_datetime(minute),
        payload=message.payload(),
        next_attempt_at=timezone.now(),
    )


def _facts(rule: AlertRule) -> RuleFacts:
    return RuleFacts(
        name=rule.name,
        metric=rule.metric,
        statistic=rule.statistic,
        operator=rule.operator,
        threshold=rule.threshold,
        unit=rule.definition().unit,
        window_minutes=rule.window_minutes,
        severity=rule.severity,
        runbook_url=rule.runbook_url,
    )


def _alert(instance: Instance) -> AlertFacts:
    base = settings.MONITORING_BASE_URL
    links = {"dashboard": f"{base}/dashboard/?{urlencode({'tenant': instance.tenant}, quote_via=quote)}"}
    if instance.alert is not None:
        links["alert"] = f"{base}/admin/monitoring/alert/{instance.alert}/change/"
    return AlertFacts(
        tenant=instance.tenant or None,
        value=instance.value,
        samples=instance.samples,
        since=isoformat(instance.since),
        reason=instance.reason,
        links=links,
    )
