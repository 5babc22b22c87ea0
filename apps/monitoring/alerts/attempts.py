"""Which rules a minute tries, how much time they have, and what is noted of those that fail: no rule holds up the others.

Why it is so is told in docs/decisions/0045-slow-rules-share-a-minute.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection
from django.utils import timezone

from apps.monitoring.conf import conf
from apps.monitoring.core.pauses import allowed, tried_again_at
from apps.monitoring.models import AlertRule
from apps.monitoring.query.deadline import Deadline

MINUTE_SECONDS: Final = 60.0
"""What the rules of one minute share."""


class Shares:
    """The time that the rules of one minute share."""

    def __init__(self) -> None:
        self._deadline = Deadline(MINUTE_SECONDS)

    def next(self) -> None:
        """From now on no statement takes longer than a share of what is left, until the transaction ends."""
        limit_statements(allowed(conf().rule_timeout_seconds, self._deadline.left))


def limit_statements(seconds: float) -> None:
    """Until the transaction ends no statement takes longer; 0 is no limit."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [f"{round(seconds * 1_000)}ms"])


def tried(rules: Sequence[AlertRule], now: datetime) -> list[AlertRule]:
    """All but those that ask for too much, of which it is one a minute at the most: the one whose turn came first.

    An edit may have mended a rule, so it is tried at once.
    """
    turns = {rule.pk: turn for rule in rules if (turn := _turn(rule)) is not None}
    first = min((pk for pk, turn in turns.items() if turn <= now), key=lambda pk: turns[pk], default=None)
    return [rule for rule in rules if rule.pk not in turns or rule.pk == first]


def _turn(rule: AlertRule) -> datetime | None:
    """When to try a rule that asked for too much again; None where there is nothing to wait for."""
    if rule.exhausted_at is None or not rule.enabled or rule.updated_at > rule.exhausted_at:
        return None
    return tried_again_at(rule.error_since or rule.exhausted_at, rule.exhausted_at)


class Failures:
    """The rules that could not be evaluated in one minute."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._found: list[tuple[AlertRule, Exception]] = []

    def add(self, rule: AlertRule, error: Exception) -> None:
        """One more."""
        self._found.append((rule, error))

    def note(self) -> None:
        """Mark them as in error since the minute began: whatever is edited later has not been tried."""
        for rule, error in self._found:
            AlertRule.objects.filter(pk=rule.pk).update(
                error=f"{type(error).__name__}: {error}",
                error_since=rule.error_since or self._now,
                # Whatever the database refuses a rule as too much is worked at for long before, most often.
                exhausted_at=self._now if isinstance(error, OperationalError) else None,
            )


@contextmanager
def noted() -> Iterator[Failures]:
    """The failures of a minute, noted after its transaction, also when the time limit of the worker rolls that back."""
    failures = Failures(timezone.now())
    try:
        yield failures
    except SoftTimeLimitExceeded:
        failures.note()
        raise
    failures.note()


def forgive(*rules: int) -> None:
    """Rules by number are in error no more."""
    AlertRule.objects.filter(pk__in=rules).update(error="", error_since=None, exhausted_at=None)
