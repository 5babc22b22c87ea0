"""Write a notification beside the decision it follows from, and see that somebody delivers it."""

from __future__ import annotations

import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from celery import Celery
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.module_loading import import_string

from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.core.rules import Operator
from apps.monitoring.ingest import recorder
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import circuit, ends, link, pages
from apps.monitoring.notify.announcements import announcements
from apps.monitoring.notify.message import WORST, AlertFacts, Message, RuleFacts
from apps.monitoring.notify.text import Subject, render

_log = logging.getLogger(__name__)

_CELERY_APP: Final = "workers.app.app"
"""Imported when first asked: the web server and the commands do not load the workers otherwise, and Celery's default
application would look for a broker of its own."""
_IMPATIENT: Final = {"socket_timeout": 2.0, "socket_connect_timeout": 2.0, "max_retries": 0, "interval_start": 0.0}
"""Kombu tries again for ever otherwise, in the process that judges the rules."""
_PAUSE_SECONDS: Final = 30.0
_broker_away_until = 0.0
_waiting: ContextVar[dict[int, None] | None] = ContextVar("waiting", default=None)
"""The channels of which something is committed, while they are to be asked once."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One tenant that a notification is about; ``since`` is a minute, ``alert`` the id of the alert.

    Of an end ``lasted`` is how many minutes it lasted, 0 when that is not known, and ``is_late`` whether it was owed.
    """

    tenant: str
    value: float | None
    samples: int
    since: int
    reason: str
    alert: int | None = None
    lasted: int = 0
    is_late: bool = False


def enqueue(
    rule: AlertRule, notice: Notice, minute: int, instances: Sequence[Instance], channels: Sequence[int] | None = None
) -> list[uuid.UUID]:
    """One notification for each channel of the rule, however many tenants it is about.

    ``channels`` are those that the decision was made with; without them they are read now. An end goes to the channels that
    were told of the beginning, whatever the rule's channels are now.

    Call it in the transaction that decides. After the commit the delivery is asked for; if the broker does not take
    that, the sweep finds the rows.
    """
    facts = _facts(rule)
    channels = channels_of([rule.pk])[rule.pk] if channels is None else channels
    ends = notice is Notice.RESOLVED
    addressed = _to_where_it_began(rule, instances, channels) if ends else _to_all(channels, instances)
    rows = [_about(rule, facts, notice, minute, channel_id, _worst_first(rule, own)) for channel_id, own in addressed.items()]
    Notification.objects.bulk_create(rows)
    for row in rows:
        ask(row.channel_id)
    return [row.id for row in rows]


def send_test(channel: Channel) -> Notification:
    """A notification that says it is a test, delivered like any other."""
    identity = uuid.uuid4()
    facts = RuleFacts("test", "test", "count", "gt", 0, "count", 1, "info", "")
    minute = minute_of(timezone.now().timestamp())
    reached = f"Agent monitoring reaches channel {channel.name}"
    alert = AlertFacts(None, None, 0, isoformat(minute), reached, {})
    links = {"dashboard": pages.dashboard(), "channel": pages.admin("channel", channel.pk)}
    text = f"{reached}. This is a test: nothing is wrong."
    message = Message(str(identity), "test", facts, isoformat(minute), 1, [alert], text, links)
    row = _row(identity, channel.pk, None, "test", minute, message)
    row.save(force_insert=True)
    circuit.close(channel.pk, timezone.now())  # who asks for a test wants to know now
    ask(channel.pk)
    return row


def resend(chosen: QuerySet[Notification]) -> int:
    """Try notifications again from the beginning, each under its own id, and what ended since to its end; returns how many.

    What is delivered, or under way at this moment, is left alone.
    """
    now = timezone.now()
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    # Asked again in the UPDATE: what is delivered, or taken, between the two statements is left alone as well.
    waiting = free & ~Q(status=Notification.Status.DELIVERED)
    with transaction.atomic():
        rows = list(Notification.objects.filter(waiting, pk__in=chosen.order_by().values("pk")).values_list("pk", "channel"))
        sent = _begin_again(Notification.objects.filter(waiting, pk__in=[pk for pk, _ in rows]), now)
        sent += _end_again([pk for pk, _ in rows], now)
    for channel_id in {channel for _, channel in rows}:
        circuit.close(channel_id, now)
        ask(channel_id)
    return sent


def _begin_again(rows: QuerySet[Notification], now: datetime) -> int:
    return rows.update(
        status=Notification.Status.PENDING, next_attempt_at=now, attempts=0, first_attempt_at=None, leased_until=None
    )


def _end_again(sent: Collection[uuid.UUID], now: datetime) -> int:
    """Let the ends of what is sent again follow it; returns how many."""
    kinds = (Notification.Kind.FIRING, Notification.Kind.REMINDER)
    pending = Notification.objects.filter(pk__in=sent, kind__in=kinds, status=Notification.Status.PENDING)
    began = list(pending.defer("payload"))
    copies = ends.copies(began)
    Notification.objects.bulk_create(copies)
    kept = Notification.objects.filter(pk__in=ends.kept(began)).exclude(status=Notification.Status.PENDING)
    return len(copies) + _begin_again(kept, now)


def ask(channel_id: int, after: float = 0.0) -> None:
    """After the commit, ask a worker to deliver what is due on a channel, in ``after`` seconds. Never raises.

    A broker that does not answer holds nobody up: it is left alone for a while, and the sweep finds the rows.
    """
    waiting = _waiting.get()
    if waiting is None or after:
        transaction.on_commit(lambda: _ask_now(channel_id, after))
    else:
        transaction.on_commit(lambda: waiting.setdefault(channel_id))


@contextmanager
def asked_once() -> Iterator[None]:
    """Ask for a channel once, however many notifications for it are written meanwhile. It is entered before the transaction."""
    waiting: dict[int, None] = {}
    outer = _waiting.set(waiting)
    try:
        yield
    finally:
        _waiting.reset(outer)
        for channel_id in waiting:
            _ask_now(channel_id, 0.0)


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


def channels_of(rules: Collection[int]) -> dict[int, list[int]]:
    """Whom each rule tells, all by number: its own channels, or else the default ones. Nobody where they are switched off.

    Without their secrets: a secret that cannot be read must stop its channel alone, never the decision.
    """
    named = AlertRule.channels.through.objects.filter(alertrule__in=rules).order_by("channel__name")
    own: dict[int, list[int]] = defaultdict(list)
    for rule, channel, enabled in named.values_list("alertrule", "channel", "channel__enabled"):
        own[rule] += [channel] if enabled else []
    default = list(Channel.objects.filter(is_default=True, enabled=True).values_list("pk", flat=True))
    return {rule: own.get(rule, default) for rule in rules}


def _to_all(channels: Iterable[int], instances: Sequence[Instance]) -> dict[int, list[Instance]]:
    return {channel: list(instances) for channel in channels}


def _to_where_it_began(rule: AlertRule, instances: Sequence[Instance], channels: Sequence[int]) -> dict[int, list[Instance]]:
    """For each channel the alerts that it was told of, as a fallback too; one that is switched off learns it when it is back.

    Of an alert whose notifications are gone the channels of today are told.
    """
    by_alert = {instance.alert: instance for instance in instances if instance.alert is not None}
    told: dict[int, dict[int, Instance]] = defaultdict(dict)
    began = to_datetime(min((instance.since for instance in by_alert.values()), default=0))
    rows = announcements(rule.pk, by_alert, began)
    for channel_id, named in rows.values_list("channel", "alert_ids"):
        told[channel_id] |= {alert: by_alert[alert] for alert in named if alert in by_alert}
    known = {alert for own in told.values() for alert in own}
    found = {channel_id: list(own.values()) for channel_id, own in told.items()}
    unknown = [instance for instance in instances if instance.alert not in known]
    if unknown:
        for channel_id in channels:
            found.setdefault(channel_id, []).extend(unknown)
    return found


def _about(
    rule: AlertRule, facts: RuleFacts, notice: Notice, minute: int, channel_id: int, worst: Sequence[Instance]
) -> Notification:
    identity = uuid.uuid4()
    alerts = [instance.alert for instance in worst if instance.alert is not None]
    named = [_alert(facts, instance) for instance in worst[:WORST]]
    message = Message(
        id=str(identity),
        kind=notice.value,
        rule=facts,
        minute=isoformat(minute),
        count=len(worst),
        alerts=named,
        text=render(rule.message_template, facts, notice.value, _subject(worst, named[0]), rule.description),
        links=_links(identity, facts, worst, acknowledge=bool(alerts) and notice is not Notice.RESOLVED),
    )
    row = _row(identity, channel_id, rule, notice.value, minute, message)
    row.alert_ids = alerts
    return row


def _worst_first(rule: AlertRule, instances: Sequence[Instance]) -> list[Instance]:
    low_is_bad = rule.operator in {Operator.LT, Operator.LTE}

    def badness(instance: Instance) -> tuple[bool, float, str]:
        value = instance.value or 0.0
        return (instance.value is None, value if low_is_bad else -value, instance.tenant)

    return sorted(instances, key=badness)


def _row(
    identity: uuid.UUID, channel_id: int, rule: AlertRule | None, kind: str, minute: int, message: Message
) -> Notification:
    return Notification(
        id=identity,
        channel_id=channel_id,
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


def _subject(instances: Sequence[Instance], worst: AlertFacts) -> Subject:
    return Subject(
        len(instances),
        worst,
        lasted=max(instance.lasted for instance in instances),
        is_late=any(instance.is_late for instance in instances),
    )


def _links(identity: uuid.UUID, rule: RuleFacts, instances: Sequence[Instance], *, acknowledge: bool) -> dict[str, str]:
    told = [(instance.tenant, instance.alert) for instance in instances]
    links = {**pages.about_all(rule, told), "runbook": rule.runbook_url}
    return {**links, "acknowledge": link.to_acknowledge(identity)} if acknowledge else links


def _alert(rule: RuleFacts, instance: Instance) -> AlertFacts:
    return AlertFacts(
        tenant=instance.tenant or None,
        value=instance.value,
        samples=instance.samples,
        since=isoformat(instance.since),
        reason=instance.reason,
        links=pages.about(rule, instance.tenant, instance.alert),
    )
