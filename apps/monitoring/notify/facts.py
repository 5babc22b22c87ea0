"""What a message says of an alert that is read from the database, where nothing has just been judged."""

from __future__ import annotations

from apps.monitoring.core.clock import isoformat, to_minute
from apps.monitoring.models import Alert
from apps.monitoring.notify import pages
from apps.monitoring.notify.message import AlertFacts, RuleFacts


def facts_of(rule: RuleFacts, alert: Alert, reason: str) -> AlertFacts:
    """With the value at which it fired."""
    since, links = isoformat(to_minute(alert.since)), pages.about(rule, alert.tenant, alert.pk)
    return AlertFacts(alert.tenant or None, alert.value, alert.samples, since, reason, links)
