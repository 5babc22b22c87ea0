"""Deliver what is due: claimed under a lease, sent outside any transaction, its outcome recorded.

One run at a time has a channel. Notifications of one rule leave in their order: a resolved notice never overtakes its
firing. The first attempt that fails for now ends the run, so a receiver that is down costs one attempt a run however
much waits for it; the others of the channel are tried by the next run. After several failures in a row the channel is
left alone for a while (`circuit`).
"""

from __future__ import annotations

import logging
import random
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import DatabaseError, transaction
from django.db.models import Case, F, Min, Q, QuerySet, When, Window
from django.db.models.functions import Coalesce
from django.utils import timezone

from apps.monitoring.ingest import recorder
from apps.monitoring.models import Channel, Notification
from apps.monitoring.models.encrypted import SecretUnreadableError
from apps.monitoring.notify import channels, circuit, fallback, outbox
from apps.monitoring.notify.channels.outcome import (
    NO_RECEIPT,
    TAKEN,
    Delivered,
    Outcome,
    Partly,
    Rejected,
    Retry,
    Unfinished,
    kept_wait,
)
from apps.monitoring.notify.isolation import isolated
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import threads_of
from apps.monitoring.rollup import locks

_log = logging.getLogger(__name__)

GIVE_UP: Final = timedelta(hours=24)
"""From the first attempt; or, while an open circuit allows none, since it was due and the channel fails."""
LEASE: Final = timedelta(seconds=60)
"""Longer than the longest attempt: after a crash the same id is sent again when it is over."""
SWEEP: Final = 60.0
"""Seconds between two sweeps: an attempt that is due sooner is asked for by itself."""
_FIRST_DELAY: Final = 5.0
_LONGEST_DELAY: Final = 3_600.0
_AT_ONCE: Final = 500
"""Notifications that one sweep gives up: the next one is a minute away."""
_BUDGET_SECONDS: Final = 120.0
"""One run ends after this, so that a busy channel does not keep a worker; what is left is asked for again."""

Clock = Callable[[], datetime]


@dataclass(slots=True)
class Report:
    """What one run did on one channel."""

    delivered: int = 0
    failed: int = 0
    dead: int = 0


def deliver_channel(channel_id: int, clock: Clock = timezone.now) -> Report:
    """Deliver what is due on one channel, oldest first, until nothing is due or an attempt fails for now."""
    report = Report()
    deadline = time.monotonic() + _BUDGET_SECONDS
    while time.monotonic() < deadline:
        claimed = _claim(channel_id, clock())
        if claimed is None:
            return report
        wait = _record(claimed, _send(claimed), clock(), report)
        if wait is not None:
            if wait < SWEEP:
                outbox.ask(channel_id, after=wait)
            return report
    outbox.ask(channel_id)
    return report


def due_channels(now: datetime) -> list[int]:
    """The channels that have something due: what the sweep asks deliveries for."""
    return list(_due(now).order_by("channel_id").values_list("channel_id", flat=True).distinct())


def give_up_too_old(now: datetime) -> int:
    """Give up what has had its 24 hours at a channel that fails, without an attempt; returns how many.

    An open circuit tries one in five minutes at most, the one that was tried least. Where more than that is written, most would
    never end, and news of days ago would go out when the receiver is back. A channel that is switched off keeps what waits.
    """
    long_ago = now - GIVE_UP
    rows = (
        Notification.objects.filter(
            Q(leased_until=None) | Q(leased_until__lt=now),
            status=Notification.Status.PENDING,
            channel__enabled=True,
            channel__failures__gte=circuit.OPENS_AFTER,
            channel__failing_since__lte=long_ago,
        )
        .annotate(began=Coalesce("first_attempt_at", "next_attempt_at"))
        .filter(began__lte=long_ago)
        .order_by("created_at")[:_AT_ONCE]
    )
    given_up = 0
    with isolated() as step:
        for row in rows:
            with step():
                given_up += _give_up_waiting(row, now)
    return given_up


def _give_up_waiting(row: Notification, now: datetime) -> bool:
    """False when a run has taken it meanwhile."""
    reason = f"given up after 24 hours: {row.last_error or 'it was not tried, the channel failed all the while'}"
    with transaction.atomic():
        locks.telling()  # before the row, as whoever deletes its rule
        if not _finish(row, Notification.Status.DEAD, reason, now):
            return False
        _tell_fallback(row, f"gave it up: {reason}")
    recorder.note("notifications_given_up")
    return True


def _due(now: datetime, **of: Any) -> QuerySet[Notification]:
    """Pending, its time has come, nobody has it, and nothing older of the same matter waits on the same channel."""
    free = Q(leased_until__isnull=True) | Q(leased_until__lt=now)
    reachable = Q(channel__paused_until__isnull=True) | Q(channel__paused_until__lte=now)
    waiting = Notification.objects.filter(reachable, channel__enabled=True, status=Notification.Status.PENDING, **of)
    return Notification.objects.filter(
        free, status=Notification.Status.PENDING, next_attempt_at__lte=now, pk__in=_first_in_line(waiting).values("pk")
    )


def _first_in_line(waiting: QuerySet[Notification]) -> QuerySet[Notification]:
    """Those of what waits that nothing older of the same matter on the same channel waits before.

    A matter is a rule, a failing channel or a broken rule; what is of rules that were deleted is one. A test is by itself.
    All are looked at once: whether there is an older one, asked of each, takes minutes of a backlog of 20,000.
    """
    holds_up = Q(receipt={}) | Q(receipt__has_key=TAKEN)  # what some have already holds up nothing for them
    itself = Case(When(kind=Notification.Kind.TEST, then=F("pk")))
    oldest = Window(
        Min("created_at", filter=holds_up), partition_by=[F("channel"), F("rule"), F("about"), F("broken_rule"), itself]
    )
    return waiting.order_by().annotate(oldest=oldest).filter(Q(oldest=None) | Q(created_at__lte=F("oldest")))


def _claim(channel_id: int, now: datetime) -> Notification | None:
    """Take the oldest due notification, unless another run has one of this channel.

    The channel's row is locked for the claim alone, weakly enough that notifications can be written meanwhile. The probe
    of an open circuit is what was tried least: one that nobody will ever take must not stand before the others.
    """
    with transaction.atomic():
        locked = Channel.objects.select_for_update(no_key=True).filter(pk=channel_id)
        found = locked.values_list("failures", "failing_since").first()
        if found is None:
            return None
        is_probe, failing_since = circuit.is_open(found[0]), found[1] or now
        if Notification.objects.filter(
            channel_id=channel_id, status=Notification.Status.PENDING, leased_until__gte=now
        ).exists():
            return None
        order = ("attempts", "created_at", "id") if is_probe else ("created_at", "id")
        row = _due(now, channel=channel_id).order_by(*order).first()
        if row is not None:
            row.leased_until = now + LEASE
            row.attempts += 1
            # What the circuit held back has had a part of its time: it ends when it would have untried.
            row.first_attempt_at = row.first_attempt_at or (max(row.next_attempt_at, failing_since) if is_probe else now)
            row.save(update_fields=["leased_until", "attempts", "first_attempt_at"])
        return row


def _send(row: Notification) -> Outcome:
    """One attempt. A channel that raises has failed for now.

    Of the error only its type and place are kept: its text, and the variables that an error tracker adds to a
    traceback, may hold what is secret.
    """
    try:
        channel = row.channel
        handler = channels.get(channel.kind)
        threads = threads_of(row) if handler.keeps_threads else ()
        return handler.deliver(Message.from_payload(row.payload), channel.config, channel.secrets, threads, row.receipt)
    except (channels.UnknownChannelError, SecretUnreadableError) as error:
        return Retry(str(error))  # a person mends these; what waits goes out then, as far as its time is not over
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        _log.error("a channel raised %s at %s:%d", type(error).__name__, place.filename, place.lineno or 0)
        return Retry(f"the channel raised {type(error).__name__} (its place is in the worker's log)")


def _record(row: Notification, outcome: Outcome, now: datetime, report: Report) -> float | None:
    """Store how the attempt ended; returns the seconds to the next one when there is one."""
    match outcome:
        case Delivered(receipt, warning):
            with transaction.atomic():
                # In the order of whoever deletes a rule or a channel: the lock, the channel, its notifications.
                fallback.end_there_too(row)
                circuit.worked(row.channel_id, now, warning)
                _finish(row, Notification.Status.DELIVERED, warning, now, receipt)
            recorder.note("notifications_delivered")
            report.delivered += 1
            return None
        case Rejected(reason):
            _give_up(row, reason, now, report)
            return None
        case Partly(reason, receipt):
            _go_on(row, reason, receipt, now, report)
            return None
        case Unfinished(reason, receipt, after):
            return _go_on_soon(row, reason, receipt, kept_wait(after), now, report)
        case Retry(reason, wish):
            after = kept_wait(wish)
            if _is_too_old(row, now):
                _give_up(row, f"given up after 24 hours: {reason}", now, report)
                return circuit.failed(row.channel_id, reason, now, after)
            # One that is under way is not left for an hour; a receiver that is down is spared by the circuit.
            wait = delay(1 if TAKEN in row.receipt else row.attempts, after)
            _again(row, reason, wait, now, report)
            return max(wait, circuit.failed(row.channel_id, reason, now, after))


def _go_on(row: Notification, reason: str, receipt: Mapping[str, Any], now: datetime, report: Report) -> None:
    """The channel works, and some have the notification: it goes on by itself and holds nothing else up."""
    _mine(row).update(receipt=dict(receipt))
    if _is_too_old(row, now):
        _give_up(row, f"given up after 24 hours: {reason}", now, report)
        return
    circuit.worked(row.channel_id, now, reason)
    wait = delay(row.attempts, None)
    _again(row, reason, wait, now, report)
    if wait < SWEEP:
        outbox.ask(row.channel_id, after=wait)


def _go_on_soon(
    row: Notification, reason: str, receipt: Mapping[str, Any], after: float | None, now: datetime, report: Report
) -> float | None:
    """The channel works, and has a part. Others of the channel may go before the rest does, unless the receiver wants a pause.

    Its 24 hours are not looked at: each attempt that comes here leaves less to do.
    """
    _mine(row).update(receipt=dict(receipt))
    circuit.worked(row.channel_id, now, reason)
    wait = delay(1, after)
    _again(row, reason, wait, now, report)
    if after:
        circuit.leave_alone(row.channel_id, now, after)
        return wait
    outbox.ask(row.channel_id, after=wait)
    return None


def _again(row: Notification, reason: str, wait: float, now: datetime, report: Report) -> None:
    """It is tried again in so many seconds."""
    _mine(row).update(last_error=reason, leased_until=None, next_attempt_at=now + timedelta(seconds=wait))
    recorder.note("notifications_retried")
    report.failed += 1


def _is_too_old(row: Notification, now: datetime) -> bool:
    return now - (row.first_attempt_at or now) >= GIVE_UP


def delay(attempts: int, after: float | None) -> float:
    """Seconds to the next attempt: doubling from 5 s to an hour, with jitter; never sooner than the receiver asked."""
    backoff = min(_LONGEST_DELAY, _FIRST_DELAY * 2.0 ** min(attempts - 1, 20))
    return max(after or 0.0, backoff * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, keeps no secret


def _give_up(row: Notification, reason: str, now: datetime, report: Report) -> None:
    with transaction.atomic():
        locks.telling()  # as above
        _finish(row, Notification.Status.DEAD, reason, now)
        _tell_fallback(row, f"gave it up: {reason}")
    circuit.refused(row.channel_id, reason, now)
    recorder.note("notifications_given_up")
    report.dead += 1


def _tell_fallback(row: Notification, why: str) -> None:
    """One that cannot be read any more is given up all the same, else its channel would try it for ever."""
    try:
        with transaction.atomic():
            fallback.tell(row, why)
    except DatabaseError:
        raise  # then it is not given up either: later both are done
    except Exception:
        _log.exception("the fallback is not told of notification %s", row.pk)


def _finish(row: Notification, status: str, error: str, now: datetime, receipt: Mapping[str, Any] = NO_RECEIPT) -> bool:
    """False when another run has it, or has finished it."""
    delivered = status == Notification.Status.DELIVERED
    # A run whose lease ran out may not bury what another has delivered since; what is delivered is delivered.
    mine = Notification.objects.filter(pk=row.pk) if delivered else _mine(row)
    # What was given up keeps who has it: sent again it goes to the others.
    kept = {"delivered_at": now, "receipt": dict(receipt)} if delivered else {}
    return bool(mine.update(status=status, last_error=error, leased_until=None, **kept))


def _mine(row: Notification) -> QuerySet[Notification]:
    return Notification.objects.filter(pk=row.pk, status=Notification.Status.PENDING, attempts=row.attempts)
