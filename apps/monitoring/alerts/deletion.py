"""A rule that is deleted ends what it has open, and tells whoever was told of it."""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from apps.monitoring.alerts import outcome, tables
from apps.monitoring.core.clock import to_minute
from apps.monitoring.core.judging import end_all
from apps.monitoring.models import AlertRule, EvaluationProgress
from apps.monitoring.notify import outbox
from apps.monitoring.rollup import locks


def before_delete(rule: AlertRule) -> None:
    """End the alerts of a rule in the minute that would be judged next. Call it in the transaction that deletes.

    Silences hold nothing back: nobody could tell it later.
    """
    with transaction.atomic():
        locks.judging()
        locks.telling()  # no beginning is copied to a fallback meanwhile that is not told of the end
        rows = {row.tenant: row for row in tables.states([rule.pk]).get(rule.pk, ())}
        states = {tenant: outcome.state_of(row) for tenant, row in rows.items()}
        progress = EvaluationProgress.objects.first()
        minute = to_minute(timezone.now() if progress is None else progress.next_minute)
        changes = [
            outcome.Change(one.tenant, rows[one.tenant], one.after, one.verdict, one.events)
            for one in end_all(states, "the rule was deleted")
        ]
        outcome.write(rule, rule.definition(), minute, changes, outbox.channels_of([rule.pk])[rule.pk])
