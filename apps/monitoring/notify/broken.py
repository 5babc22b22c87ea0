"""A rule that cannot be evaluated tells of nothing, so that is told: once when it begins, and once when it is over."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from apps.monitoring.core.clock import isoformat, minute_of, to_datetime, to_minute
from apps.monitoring.core.rules import Severity
from apps.monitoring.models import AlertRule, Notification
from apps.monitoring.notify import outbox, pages
from apps.monitoring.notify.isolation import isolated
from apps.monitoring.notify.message import AlertFacts, Message, RuleFacts

_AGAIN_AFTER: Final = timedelta(hours=1)
"""A rule that fails now and then is told about once an hour."""


def sweep(now: datetime) -> int:
    """Tell of rules that have begun to fail, and of those that no longer do; returns how many notifications.

    Whichever sweep comes first tells: a notification is known by its rule, by the minute since which the rule fails, and
    by its channel.
    """
    rows: list[Notification] = []
    with isolated() as step:
        for rule in _begun(now):
            with step():
                rows += _beginning(rule, now)
        for opener in _over():
            with step():
                rows.append(_end(opener))
        Notification.objects.bulk_create(rows, ignore_conflicts=True)
        for channel in {row.channel_id for row in rows}:
            outbox.ask(channel)
    return len(rows)


def _begun(now: datetime) -> list[AlertRule]:
    """Those in error that nobody was told of, neither since they are nor lately."""
    told = Notification.objects.filter(kind=Notification.Kind.FIRING, broken_rule=OuterRef("pk"))
    told = told.filter(Q(minute__gt=OuterRef("error_since") - timedelta(minutes=1)) | Q(minute__gt=now - _AGAIN_AFTER))
    return list(AlertRule.objects.filter(~Exists(told), enabled=True, error_since__isnull=False).exclude(error=""))


def _over() -> list[Notification]:
    """The beginnings that were told, and whose end was not although their rule is mended, switched off or deleted."""
    ended = Notification.objects.filter(
        kind=Notification.Kind.RESOLVED,
        broken_rule=OuterRef("broken_rule"),
        channel=OuterRef("channel"),
        minute=OuterRef("minute"),
    )
    goes_on = AlertRule.objects.filter(
        pk=OuterRef("broken_rule"), enabled=True, error_since__lt=OuterRef("minute") + timedelta(minutes=1)
    )
    begun = Notification.objects.filter(kind=Notification.Kind.FIRING, broken_rule__isnull=False)
    return list(begun.filter(~Exists(ended), ~Exists(goes_on)).order_by("created_at"))


def _beginning(rule: AlertRule, now: datetime) -> list[Notification]:
    began = minute_of((rule.error_since or now).timestamp())
    facts = RuleFacts(
        f"rule-{rule.name}-broken", "failed_evaluations", "count", "gt", 0, "count", 1, Severity.ERROR, rule.runbook_url
    )
    # The kind of the error alone: its text may quote what a row holds.
    kind = rule.error.partition(":")[0]
    text = (
        f"The rule {rule.name} cannot be evaluated ({kind}) and tells of nothing. Why is on its page, and in the worker's log."
    )
    channels = outbox.channels_of([rule.pk])[rule.pk]
    return [_row(rule.pk, channel, Notification.Kind.FIRING, began, facts, text) for channel in channels]


def _end(opener: Notification) -> Notification:
    facts, rule = Message.from_payload(opener.payload).rule, opener.broken_rule or 0
    enabled = AlertRule.objects.filter(pk=rule).values_list("enabled", flat=True).first()
    how = {None: "was deleted", False: "was switched off", True: "is evaluated again"}[enabled]
    name = facts.name.removeprefix("rule-").removesuffix("-broken")
    return _row(
        rule,
        opener.channel_id,
        Notification.Kind.RESOLVED,
        to_minute(opener.minute),
        facts,
        f"The rule {name} {how}.",
    )


def _row(rule: int, channel_id: int, kind: str, began: int, facts: RuleFacts, text: str) -> Notification:
    """``began`` is the minute since which the rule fails: the end has the minute of its beginning."""
    identity = uuid.uuid4()
    links = {"rule": pages.admin("alertrule", rule)}
    alert = AlertFacts(None, None, 0, isoformat(began), text, links)
    message = Message(str(identity), str(kind), facts, isoformat(began), 1, [alert], text, links)
    return Notification(
        id=identity,
        channel_id=channel_id,
        broken_rule=rule,
        kind=kind,
        minute=to_datetime(began),
        payload=message.payload(),
        next_attempt_at=timezone.now(),
    )
