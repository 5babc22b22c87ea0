"""A beginning that is sent again after its end is followed by the end, or its receiver believes that it goes on for ever."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from django.db.models import QuerySet

from apps.monitoring.models import Notification
from apps.monitoring.notify.announcements import naming
from apps.monitoring.notify.copies import copies_of_ends

_WHY: Final = "Sent again because its beginning was."


def copies(beginnings: Iterable[Notification]) -> list[Notification]:
    """Of the ends of alerts that their channels have already: under ids of their own, for who has seen an id drops it.

    They are not saved yet. An end that is still on its way, or was given up, is none of them.
    """
    found: list[Notification] = []
    for channel, alerts, ends in _of_alerts(beginnings):
        to_come = ends.exclude(status=Notification.Status.DELIVERED).values_list("alert_ids", flat=True)
        told = ends.filter(status=Notification.Status.DELIVERED)
        found += copies_of_ends(told, channel, alerts.difference(*to_come), _WHY)
    return found


def kept(beginnings: Sequence[Notification]) -> set[uuid.UUID]:
    """The ends that go out under their own ids: those that were given up, and those of what is about no alert.

    A broken rule and a failing channel are told to be over once, and that finds its beginning by when it was written.
    """
    dead = [ends.filter(status=Notification.Status.DEAD) for _, _, ends in _of_alerts(beginnings)]
    found = dead + [_of_matter(row) for row in beginnings if not row.alert_ids]
    return {pk for ends in found for pk in ends.values_list("pk", flat=True)}


def _of_alerts(beginnings: Iterable[Notification]) -> Iterator[tuple[int, set[int], QuerySet[Notification]]]:
    """For each channel and rule the alerts that began, and their ends."""
    alerts: dict[tuple[int, int | None], set[int]] = defaultdict(set)
    for row in beginnings:
        alerts[row.channel_id, row.rule_id].update(row.alert_ids)
    for (channel, rule), named in alerts.items():
        ends = Notification.objects.filter(channel=channel, rule=rule, kind=Notification.Kind.RESOLVED)
        yield channel, named, ends.filter(naming(named))


def _of_matter(row: Notification) -> QuerySet[Notification]:
    """The end of a broken rule, or of a failing channel."""
    ends = Notification.objects.filter(channel=row.channel_id, kind=Notification.Kind.RESOLVED)
    if row.broken_rule is not None:
        return ends.filter(broken_rule=row.broken_rule, minute=row.minute)
    if row.about_id is not None:
        return ends.filter(about=row.about_id, created_at__gt=row.created_at).order_by("created_at")[:1]
    return ends.none()
