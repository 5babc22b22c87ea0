"""Write a notification beside the decision it follows from, and see that somebody delivers it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from celery import Celery
from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.core.rules import Operator
from apps.monitoring.ingest import recorder
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import circuit, link
from apps.monitoring.notify.message import WORST, AlertFacts, Message, RuleFacts, render

_log = logging.getLogger(__name__)

_CELERY_APP: Final = "workers.app.app"
"""Imported when first asked: the web server and the commands do not load the workers otherwise, and Celery's default
application would look for a broker of its own."""
_IMPATIENT: Final = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "max_retries": 0, "interval_start": 0.0}
"""Kombu tries again for ever otherwise, in the process that judges the rules."""
_PAUSE_SECONDS: Final = 30.0
_broker_away_until = 0.0


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
    alerts = [instance.alert for instance in worst if instance.alert is not None]
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
            links=_links(identity, rule, acknowledge=bool(alerts) and notice is not Notice.RESOLVED),
        )
        row = _row(identity, channel, rule, notice.value, minute, message)
        row.alert_ids = alerts
        rows.append(row)
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
    circuit.close(channel.pk, timezone.now())  # who asks for a test wants to know now
    ask(channel.pk)
    return row


def resend(chosen: QuerySet[Notification]) -> int:
    """Try notifications again from the beginning, each under its own id; returns how many.

    What is delivered, or under way at this moment, is left alone.
    """
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    rows = Notification.objects.filter(free, pk__in=chosen.order_by().values("pk")).exclude(
        status=Notification.Status.DELIVERED
    )
    waiting = list(rows.values_list("pk", "channel"))
    Notification.objects.filter(free, pk__in=[pk for pk, _ in waiting]).update(
        status=Notification.Status.PENDING, next_attempt_at=now, attempts=0, first_attempt_at=None, leased_until=None
    )
    for channel_id in {channel for _, channel in waiting}:
        circuit.close(channel_id, now)
        ask(channel_id)
    return len(waiting)


def ask(channel_id: int, after: float = 0.0) -> None:
    """After the commit, ask a worker to deliver what is due on a channel, in ``after`` seconds. Never raises.

    A broker that does not answer holds nobody up: it is left alone for a while, and the sweep finds the rows.
    """
    transaction.on_commit(lambda: _ask_now(channel_id, after))


def _ask_now(channel_id: int, after: float) -> None:
    global _broker_away_until  # noqa: PLW0603 - what this process knows of the broker
    if time.monotonic() < _broker_away_until:
        return
    try:
        app: Celery = import_string(_CELERY_APP)
        options = {**app.conf.broker_transport_options, **_IMPATIENT}
        with app.connection_for_write(transport_options=options) as connection:
            app.send_task(
                "monitoring.deliver_channel",
                args=[channel_id],
                queue="notifications",
                countdown=after or None,
                retry=False,
                connection=connection,
            )
    except Exception as error:  # the decision stands whatever the broker does
        _broker_away_until = time.monotonic() + _PAUSE_SECONDS
        recorder.note("delivery_tasks_refused")
        _log.warning("the broker takes no delivery task, the sweep will find the notification: %s", error)


def _channels(rule: AlertRule) -> list[Channel]:
    """Without their secrets: a secret that cannot be read must stop its channel alone, never the decision."""
    own = list(rule.channels.defer("secrets"))
    if own:
        return [channel for channel in own if channel.enabled]
    return list(Channel.without_secrets.filter(is_default=True, enabled=True))


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
        change_against=rule.change_against,
        budget=rule.budget,
    )


def _links(identity: uuid.UUID, rule: AlertRule, *, acknowledge: bool) -> dict[str, str]:
    links = {"dashboard": f"{settings.MONITORING_BASE_URL}/dashboard/", "runbook": rule.runbook_url}
    return {**links, "acknowledge": link.to_acknowledge(identity)} if acknowledge else links


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
