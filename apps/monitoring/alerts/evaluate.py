"""Judge every complete minute once: measure, step, write what follows, all in one transaction a minute."""

from __future__ import annotations

import gc
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, Min, OuterRef, Q
from django.utils import timezone

from apps.monitoring.alerts import attempts, outcome, silences, tables
from apps.monitoring.alerts.measure import Windows, expected_tenants
from apps.monitoring.alerts.tables import StoredState
from apps.monitoring.conf import conf
from apps.monitoring.core.clock import SECONDS, to_datetime, to_minute
from apps.monitoring.core.course import ANOTHER, DISABLED
from apps.monitoring.core.judging import Judged, end_all, judge_minute
from apps.monitoring.core.lifecycle import State, Status, stays
from apps.monitoring.core.rules import MAX_REACH, NoData, Rule, subject
from apps.monitoring.core.silences import Hold, Matchers, Quiet, hold
from apps.monitoring.models import AlertRule, AlertState, EvaluationProgress, RollupBatch
from apps.monitoring.notify import fallback, outbox
from apps.monitoring.query.source import watermark
from apps.monitoring.rollup import locks

_log = logging.getLogger(__name__)

BUDGET_SECONDS: Final = 150.0
"""After this no minute is begun: the worker's time limit is further away than what a minute takes at the most."""
_AWAY: Final = ("08", "57P")
"""SQLSTATEs of a connection that broke, and of a server that shuts down or starts."""
_AGAIN: Final = "40"
"""Those of a transaction that has to be done again, such as after a deadlock."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did. ``until`` is the first minute not judged, None when nothing was ever complete."""

    minutes: int = 0
    transitions: int = 0
    until: int | None = None
    busy: bool = False


def evaluate(now: float, budget: float = BUDGET_SECONDS) -> Report:
    """Judge every minute that is complete and not judged yet, oldest first. ``now`` in epoch seconds.

    After ``budget`` seconds no further minute is begun.
    """
    with locks.evaluation() as mine:
        return _catch_up(now, time.monotonic() + budget) if mine else Report(busy=True)


def _catch_up(now: float, deadline: float) -> Report:
    until = watermark(conf().shards)
    minute = _next_minute()
    if until is None or minute is None:
        return Report()
    _forgive_disabled()
    judged = transitions = 0
    while minute < until and (not judged or time.monotonic() < deadline):
        with attempts.noted() as failures, _uncollected(), outbox.asked_once(), transaction.atomic():
            locks.judging()
            began = timezone.now()
            rules = _rules()
            ahead = _skip_silence(minute, until, rules)
            tables.judge(minute, max(ahead, minute + 1))
            if ahead == minute:
                transitions += _judge_minute(minute, attempts.tried(rules, began), _quiets(minute, now), failures)
                fallback.end_crossed(began)
                judged += 1
                minute += 1
            else:
                minute = ahead
            _advance(minute)
            _look_up_by_index()
    return Report(judged, transitions, minute)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without looking for cycles, of which a minute makes none: a look at all that it holds takes as long as the judging."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _rules() -> list[AlertRule]:
    """Those that are enabled, and those that were when they left something open."""
    return list(AlertRule.objects.filter(Q(enabled=True) | _left()))


def _left() -> Exists:
    return Exists(AlertState.objects.filter(rule=OuterRef("pk")))


def _forgive_disabled() -> None:
    """Nobody evaluates a rule that is switched off, so nothing would ever find it mended."""
    attempts.forgive(*AlertRule.objects.filter(~_left(), enabled=False).exclude(error="").values_list("pk", flat=True))


def _next_minute() -> int | None:
    """Where to go on: after the last judged minute, or at the first minute that has data."""
    progress = EvaluationProgress.objects.first()
    if progress is not None:
        return to_minute(progress.next_minute)
    first = RollupBatch.objects.aggregate(first=Min("minute"))["first"]
    return None if first is None else to_minute(first)


def _skip_silence(minute: int, until: int, rules: Sequence[AlertRule]) -> int:
    """The next minute in which anything can happen: `minute` itself, unless no rule has data or a state to end."""
    if AlertState.objects.exists() or any(rule.no_data == NoData.ALERT for rule in rules):
        return minute
    reach = min(max((rule.definition().reach for rule in rules), default=1), MAX_REACH)
    batches = RollupBatch.objects.filter(minute__gt=to_datetime(minute - reach), minute__lt=to_datetime(until))
    first = batches.aggregate(first=Min("minute"))["first"]
    return until if first is None else max(minute, to_minute(first))


def _quiets(minute: int, now: float) -> list[Quiet]:
    """What holds notifications back in a minute: its age, or else silences."""
    limit = conf().notify_max_age_seconds
    age = now - (minute + 1) * SECONDS
    if age > limit:
        reason = f"the minute was judged {age / SECONDS:.0f} minutes late, the limit is {limit // SECONDS}"
        return [Quiet(reason, Matchers())]
    return silences.in_force(minute)


def _judge_minute(minute: int, rules: Sequence[AlertRule], quiets: Sequence[Quiet], failures: attempts.Failures) -> int:
    numbers, windows, shares = [rule.pk for rule in rules], Windows(minute), attempts.Shares()
    stored, channels = tables.states(numbers), outbox.channels_of(numbers)
    _read_together(windows, rules, shares)
    judged = 0
    for rule in rules:
        shares.next()
        with _alone(rule, failures):
            held = hold(quiets, rule.name, rule.severity)
            judged += _apply(rule, windows, stored.get(rule.pk, ()), minute, held, channels[rule.pk])
    attempts.limit_statements(0)
    return judged


def _look_up_by_index() -> None:
    """Have the references of what was written looked up in indexes when the transaction ends.

    Postgres plans that once a connection, by what it knows of the tables: where hardly anything has fired it looks through
    them for each row, and still does when thousands begin to fire at once, each with three rows. That took ten times as long
    as everything else.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('enable_seqscan', 'off', true)")


def _read_together(windows: Windows, rules: Sequence[AlertRule], shares: attempts.Shares) -> None:
    """What several rules need in one read. When that fails each reads its own, so the one that is to blame is found.

    From then on it is left out here until it is mended.
    """
    try:
        with transaction.atomic():
            windows.read_together((rule.definition() for rule in rules if rule.enabled and not rule.error), shares.next)
    except Exception as error:
        if _is_away(error):
            raise
        _log.warning("the windows of all rules cannot be read together: %s", error)


@contextmanager
def _alone(rule: AlertRule, failures: attempts.Failures) -> Iterator[None]:
    """A rule that fails in here stops nothing else."""
    try:
        with transaction.atomic():
            yield
    except Exception as error:
        if _is_away(error):
            raise  # the rule is not to blame: the whole minute is judged again
        _log.exception("rule %s cannot be evaluated", rule.name)
        failures.add(rule, error)


def _is_away(error: Exception) -> bool:
    """Whether something else than the rule ended its evaluation: the worker's time limit, or a database that went away.

    A statement that takes too long, too much memory or too much disk is an OperationalError, too, and is the rule's.
    """
    if isinstance(error, SoftTimeLimitExceeded | InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    state = getattr(error.__cause__, "sqlstate", None) or ""
    broken = connection.connection is None or connection.connection.closed or connection.connection.broken
    return bool(broken) or state.startswith((*_AWAY, _AGAIN))


def _apply(
    rule: AlertRule, windows: Windows, stored: Sequence[StoredState], minute: int, held: Hold, channels: Sequence[int]
) -> int:
    definition = replace(rule.definition(), heard=bool(channels))
    rows = {row.tenant: row for row in stored}
    states = {tenant: outcome.state_of(row) for tenant, row in rows.items()}
    judged = _judge(definition, windows, rows, states, minute, held) if rule.enabled else end_all(states, DISABLED, held)
    changes = [
        outcome.Change(one.tenant, rows.get(one.tenant), one.after, one.verdict, one.events)
        for one in judged
        if one.after != one.before or one.events or one.after.is_idle(minute, definition.cooldown)
    ]
    if rule.error:
        attempts.forgive(rule.pk)
    return outcome.write(rule, definition, minute, changes, channels)


def _judge(
    rule: Rule, windows: Windows, rows: Mapping[str, StoredState], states: Mapping[str, State], minute: int, held: Hold
) -> list[Judged]:
    """What the minute does to whoever it may do something to: most states stay as they are, and need no closer look."""
    frame, expected, own = windows.frame(rule), expected_tenants(rule), subject(rule)
    breaches = dict(zip(frame.tenants, frame.breaches(rule)[:, 0].tolist(), strict=True))
    silent = NoData(rule.no_data) is NoData.ALERT
    foreign = {tenant: states[tenant] for tenant, row in rows.items() if _is_foreign(row, own)}
    moving = {
        tenant: state
        for tenant, state in states.items()
        if tenant not in foreign and not stays(rule, state, minute, breach=breaches.get(tenant, silent))
    }
    looked = {*moving, *(tenant for tenant in expected if tenant not in states)}
    measured = {
        tenant: frame.seen(row, 0)
        for row, (tenant, breach) in enumerate(breaches.items())
        if tenant in looked or (breach and tenant not in states)
    }
    # What is foreign is judged anew from the next minute on.
    return [*judge_minute(rule, measured, moving, looked, minute, held), *end_all(foreign, ANOTHER, held)]


def _is_foreign(row: StoredState, own: str) -> bool:
    """Whether something is open of what the rule judged before it was changed."""
    is_open = row.owed is not None or row.status != Status.INACTIVE
    return is_open and row.subject not in {"", own}


def _advance(minute: int) -> None:
    EvaluationProgress.objects.update_or_create(
        id=EvaluationProgress.SINGLETON, defaults={"next_minute": to_datetime(minute), "ran_at": timezone.now()}
    )
