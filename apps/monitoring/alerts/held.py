"""What held notifications back when a past minute was judged: silences and mute windows as they were then."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfoNotFoundError

from django.db.models import Q, QuerySet

from apps.monitoring.alerts.formerly import Fields, Formerly
from apps.monitoring.alerts.judgings import When
from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.core.silences import Quiet, hold
from apps.monitoring.models import AlertRule, AuditEntry, MuteWindow, Silence

Quieting = TypeVar("Quieting", Silence, MuteWindow)


@dataclass(frozen=True, slots=True)
class Asked:
    """Of which minute, when it was judged, of which tenant under which rule."""

    minute: int
    when: When
    tenant: str
    rule: AlertRule


class Held:
    """All that could hold anything back in the minutes ``[start, end]``."""

    def __init__(self, start: int, end: int) -> None:
        self._silences = _silences(to_datetime(start + 1), to_datetime(end + 1))
        self._windows = _windows()

    def back(self, asked: Asked) -> str | None:
        """Why nobody was to be told, as the history calls it; None when nothing held back."""
        there: list[Silence | MuteWindow] = [one for _, one in sorted(self._silences.at(asked.when).items())]
        there += sorted(self._windows.at(asked.when).values(), key=str)
        return next((reason for one in there if (reason := _reason(one, asked)) is not None), None)

    def remarks(self, asked: Asked) -> Iterator[str]:
        """What was edited since, where it held back or would hold back now."""
        yield from _changes(self._silences, asked)
        yield from _changes(self._windows, asked)


def _changes(known: Formerly[Quieting], asked: Asked) -> Iterator[str]:
    for pk in known:
        later = known.later(pk, asked.when)
        if not later:
            continue
        then, now = known.one(pk, asked.when), later[-1].thing
        if not any(one is not None and _reason(one, asked) is not None for one in (then, now)):
            continue
        by = f"by {later[0].by or 'code'}"
        if then is None:
            yield f"{_name(now)} was made at {_clock(later[0].at)} {by}, after this minute was judged: it held nothing back."
        elif now is None:
            last = later[-1]
            yield f"{_name(then)} was deleted since, at {_clock(last.at)} by {last.by or 'code'}: it is taken as it was."
        else:
            yield f"{_name(then)} was edited since, first at {_clock(later[0].at)} {by}: it is taken as it was."


def _reason(one: Silence | MuteWindow, asked: Asked) -> str | None:
    quiet = _quiet(one, asked.minute)
    return None if quiet is None else hold([quiet], asked.rule.name, asked.rule.severity)(asked.tenant)


def _quiet(one: Silence | MuteWindow, minute: int) -> Quiet | None:
    if isinstance(one, MuteWindow) and not one.enabled:
        return None
    try:
        return one.definition().quiet(minute)
    except ZoneInfoNotFoundError:  # as in the evaluation it holds nothing back then
        return None


def _name(one: Silence | MuteWindow | None) -> str:
    return f"Silence {one.pk}" if isinstance(one, Silence) else f"Mute window {one}"


def _silences(told_from: datetime, told_until: datetime) -> Formerly[Silence]:
    """Those that were ever to be in force in a range of time. There may be many: none is ever deleted in the admin."""
    now = Silence.objects.filter(starts_at__lte=told_until, ends_at__gt=told_from)
    first, last = (isoformat(int(one.timestamp()) // 60) for one in (told_from, told_until))
    entries = AuditEntry.objects.filter(kind=AuditEntry.Kind.SILENCE)
    # Moments in the audit are texts of ISO 8601 in UTC.
    within = Q(before__starts_at__lte=last, before__ends_at__gt=first) | Q(after__starts_at__lte=last, after__ends_at__gt=first)
    numbers = {*now.values_list("pk", flat=True), *entries.filter(within).values_list("object_id", flat=True)}
    return _formerly(Silence.objects.filter(pk__in=numbers), entries.filter(object_id__in=numbers), Silence)


def _windows() -> Formerly[MuteWindow]:
    return _formerly(MuteWindow.objects.all(), AuditEntry.objects.filter(kind=AuditEntry.Kind.MUTE_WINDOW), MuteWindow)


def _formerly(now: QuerySet[Quieting], entries: QuerySet[AuditEntry], model: type[Quieting]) -> Formerly[Quieting]:
    def restore(pk: int, fields: Fields) -> Quieting:
        own = {one.name: one for one in model._meta.concrete_fields}  # noqa: SLF001 - Django's public name
        return model(pk=pk, **{name: own[name].to_python(value) for name, value in fields.items() if name in own})

    return Formerly({one.pk: one for one in now}, entries.order_by("at", "id"), restore)


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
