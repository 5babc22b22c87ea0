"""A notification told again, elsewhere: under an id of its own, about what is news there, with a sentence that says why."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable
from dataclasses import replace

from django.db.models import QuerySet
from django.utils import timezone

from apps.monitoring.models import Alert, Notification
from apps.monitoring.notify import link
from apps.monitoring.notify.announcements import naming
from apps.monitoring.notify.facts import facts_of
from apps.monitoring.notify.message import WORST, Message
from apps.monitoring.notify.text import Subject, render


def copy_of(row: Notification, channel_id: int, news: Collection[int], why: str) -> Notification:
    """A copy for another channel, not saved yet; ``news`` are the alerts of the row that it is about."""
    identity = uuid.uuid4()
    said = _about(row, news)
    own = {"acknowledge": link.to_acknowledge(identity)} if "acknowledge" in said.links else {}
    links = {**said.links, **own}  # who was told here answers for here
    return Notification(
        id=identity,
        channel_id=channel_id,
        rule_id=row.rule_id,
        kind=row.kind,
        minute=row.minute,
        payload=replace(said, id=str(identity), text=f"{said.text} {why}", links=links).payload(),
        alert_ids=[alert for alert in row.alert_ids if alert in news],
        broken_rule=row.broken_rule,
        fallback_of=row,
        next_attempt_at=timezone.now(),
    )


def copies_of_ends(ends: Iterable[Notification], channel_id: int, alerts: Collection[int], why: str) -> list[Notification]:
    """Copies that tell a channel of the end of each of the alerts once, where one of the ends names it."""
    owed, found = set(alerts), []
    for end in ends:
        news = owed.intersection(end.alert_ids)
        if news:
            found.append(copy_of(end, channel_id, news, why))
            owed -= news
    return found


def ends_of(row: Notification) -> QuerySet[Notification]:
    """The ends of its alerts, oldest first, whomever they were written to."""
    ends = Notification.objects.filter(kind=Notification.Kind.RESOLVED, rule=row.rule_id, minute__gte=row.minute)
    return ends.filter(naming(row.alert_ids)).order_by("created_at", "pk")


def _about(row: Notification, news: Collection[int]) -> Message:
    """What the row says; of some of its alerts alone it is said anew."""
    said = Message.from_payload(row.payload)
    if all(alert in news for alert in row.alert_ids):
        return said
    worst = Alert.objects.filter(pk__in=news).order_by("tenant")[:WORST]
    facts = [facts_of(said.rule, alert, f"{alert.rule_name} is {said.kind}") for alert in worst]
    if not facts:
        return replace(said, count=len(news))
    template, description = ("", "") if row.rule is None else (row.rule.message_template, row.rule.description)
    text = render(template, said.rule, said.kind, Subject(len(news), facts[0], is_late=True), description)
    return replace(said, count=len(news), alerts=facts, text=text)
