"""What a channel cannot deliver in time is told to another one as well, once, with a note that says why.

The notification itself stays where it is and is tried on. Whose beginning went to the fallback is told of the end as
everybody else (`outbox`), so that nothing stays open at a receiver that was only told because of a failure; here is what
that cannot see: an end that was written before its beginning was copied, or at the same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import Final

from django.contrib.postgres.expressions import ArraySubquery
from django.contrib.postgres.fields import ArrayField
from django.db import transaction
from django.db.models import BigIntegerField, BooleanField, Exists, ExpressionWrapper, F, Func, OuterRef, Q, QuerySet, fields

from apps.monitoring.ingest import recorder
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox
from apps.monitoring.notify.announcements import announcements, naming
from apps.monitoring.notify.copies import copies_of_ends, copy_of, ends_of
from apps.monitoring.notify.isolation import isolated
from apps.monitoring.rollup import locks

_AT_ONCE: Final = 500
"""Notifications that one sweep hands over: the next one is a minute away."""
_KINDS: Final = (Notification.Kind.FIRING, Notification.Kind.REMINDER, Notification.Kind.RESOLVED)
_SAME: Final = Q(kind=OuterRef("kind"), minute=OuterRef("minute"))
_LATE_BEGINNING: Final = "could not deliver its beginning in time"


def sweep(now: datetime) -> int:
    """Tell the fallbacks what has waited too long; returns how many notifications that was."""
    allowed = ExpressionWrapper(
        F("channel__fallback_after_minutes") * timedelta(minutes=1), output_field=fields.DurationField()
    )
    waiting = Notification.objects.filter(
        status=Notification.Status.PENDING,
        kind__in=_KINDS,
        about=None,
        fallback_of=None,
        channel__enabled=True,
        channel__fallback__enabled=True,
    )
    late = waiting.annotate(allowed=allowed).filter(created_at__lte=now - F("allowed")).order_by("created_at")
    news = late.filter(_is_news(OuterRef("channel__fallback")))[:_AT_ONCE]
    told = 0
    with isolated() as step:
        for row in news:
            with step():
                told += tell(row, f"has not delivered it since {row.created_at:%H:%M} UTC")
    return told


def tell(row: Notification, why: str) -> bool:
    """Write a copy for the fallback of the row's channel; False when there is none, or it knows already."""
    if row.kind not in _KINDS or row.fallback_of_id is not None or row.about_id is not None:
        return False
    channel = Channel.without_secrets.filter(pk=row.channel_id, fallback__enabled=True).first()
    if channel is None or channel.fallback_id is None:
        return False
    return _tell(row, channel.fallback_id, channel.name, why, row.alert_ids)


def end_crossed(since: datetime) -> None:
    """Tell the ends that this transaction has written ``since`` then wherever their beginnings were copied meanwhile.

    Call it last: who copies waits from here on, and finds the ends then. Else it would be left to the channel that failed,
    which may be switched off or deleted before it delivers them. The lock comes before any row of a notification that was
    there: who gives one up holds the lock, and then the row.
    """
    written = Notification.objects.filter(kind=Notification.Kind.RESOLVED, created_at__gte=since, fallback_of=None)
    # Others may have written some of them, and delete their channels meanwhile.
    ends = list(written.select_related("channel"))
    if not ends:
        return
    locks.telling()
    copied = set(_copied_beginnings(ends))
    for row in ends:
        if not copied.isdisjoint(row.alert_ids):
            end_there_too(row)


def _copied_beginnings(ends: Collection[Notification]) -> Iterator[int]:
    """Those of their alerts of which some channel was told by a copy. Nearly always there is none, in one look."""
    alerts = {alert for row in ends for alert in row.alert_ids}
    rules = {row.rule_id for row in ends}
    of_rules = Q(rule__in=rules - {None}) | (Q(rule=None) if None in rules else Q())
    kinds = (Notification.Kind.FIRING, Notification.Kind.REMINDER)
    copies = Notification.objects.filter(of_rules, naming(alerts), fallback_of__isnull=False, kind__in=kinds)
    for named in copies.values_list("alert_ids", flat=True):
        yield from named


def end_there_too(row: Notification) -> bool:
    """Tell an end wherever the beginning went as a copy while the end was being written."""
    if row.kind != Notification.Kind.RESOLVED or row.fallback_of_id is not None:
        return False
    copied = announcements(row.rule_id, row.alert_ids).filter(fallback_of__isnull=False).exclude(channel=row.channel_id)
    owed: dict[int, set[int]] = defaultdict(set)
    for channel_id, alerts in copied.values_list("channel", "alert_ids"):
        owed[channel_id].update(alerts)
    return sum(_tell(row, channel_id, row.channel.name, _LATE_BEGINNING, alerts) for channel_id, alerts in owed.items()) > 0


def _tell(row: Notification, channel_id: int, name: str, why: str, alerts: Collection[int]) -> bool:
    """Write a copy of what is news to a channel, about these alerts at most; and of their ends, where those are written."""
    with transaction.atomic():
        locks.telling()
        same = Notification.objects.filter(_is_news(channel_id), pk=row.pk)
        unknown = same.values_list(_news(channel_id), flat=True).first()
        news = set(unknown or ()).intersection(alerts)
        if unknown is None or (row.alert_ids and not news):
            return False
        row.refresh_from_db(fields=["rule"])  # who had the lock may have deleted it
        copies = [copy_of(row, channel_id, news, f"Sent here because {name} {why}.")]
        if row.kind != Notification.Kind.RESOLVED:
            copies += copies_of_ends(ends_of(row), channel_id, news, f"Sent here because {name} {_LATE_BEGINNING}.")
        Notification.objects.bulk_create(copies, ignore_conflicts=True)  # a broken rule is told by its own sweep, too
    outbox.ask(channel_id)
    for _ in copies:
        recorder.note("notifications_to_fallback")
    return True


def _is_news(channel: int | OuterRef) -> Q:
    """Whether a notification says something new to a channel. What is about no alert a channel knows by its rule."""
    told = _told(channel)
    matter = Q(rule=OuterRef("rule")) | Q(broken_rule=OuterRef("broken_rule")) | Q(fallback_of=OuterRef("pk"))
    of_none = Q(alert_ids=[]) & ~Exists(told.filter(_SAME, matter))
    # What was told in the same minute is found sooner, and most of what waits was.
    return of_none | (_is_some(_besides(told.filter(_SAME))) & _is_some(_news(channel)))


def _news(channel: int | OuterRef) -> Func:
    """The alerts of which a notification says something new to a channel.

    That they fire is none where the channel was told so of a later minute: it has an incident of them.
    """
    fires_since = Q(kind__in=(Notification.Kind.FIRING, Notification.Kind.REMINDER), minute__gte=OuterRef("minute"))
    return _besides(_told(channel).filter(_SAME | fires_since))


def _told(channel: int | OuterRef) -> QuerySet[Notification]:
    """What a channel was told of a notification's rule, which may have been deleted meanwhile."""
    return Notification.objects.filter(Q(rule=OuterRef("rule")) | Q(rule=None), channel=channel).order_by()


def _besides(told: QuerySet[Notification]) -> Func:
    """The alerts of a notification that none of these names."""
    return Func(
        F("alert_ids"),
        ArraySubquery(told.values_list(Func(F("alert_ids"), function="unnest"), flat=True)),
        template="ARRAY(SELECT unnest(%(expressions)s))",
        arg_joiner=") EXCEPT SELECT unnest(",
        output_field=ArrayField(BigIntegerField()),
    )


def _is_some(alerts: Func) -> Q:
    return Q(Func(alerts, template="cardinality(%(expressions)s) > 0", output_field=BooleanField()))
