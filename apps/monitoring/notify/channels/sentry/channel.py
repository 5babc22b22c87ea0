"""Notifications as Sentry events, one issue for each rule and tenant.

The event and its envelope are built with the SDK; it is sent here, because the SDK's transport does not tell
whether Sentry took it. https://develop.sentry.dev/sdk/data-model/envelopes/
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final
from uuid import UUID, uuid5

from sentry_sdk.envelope import Envelope
from sentry_sdk.utils import BadDsn, Dsn

from apps.monitoring.notify.channels.http import Answer, forbidden, judge, reach, retry_after
from apps.monitoring.notify.channels.outcome import NO_RECEIPT, Delivered, Outcome, Rejected, kept_wait
from apps.monitoring.notify.channels.progress import Progress
from apps.monitoring.notify.message import AlertFacts, Message
from apps.monitoring.notify.thread import Thread

_MALFORMED: Final = "the DSN is not one that Sentry gives"
_LEVELS: Final = {"info": "info", "warning": "warning", "error": "error", "critical": "fatal"}


class SentryChannel:
    """``secrets``: {"dsn": …}; ``config``: {"environment": optional}."""

    kind = "sentry"
    hears_acknowledgement = False
    keeps_threads = True
    example_config = '{"environment": "production"}'
    example_secrets = '{"dsn": "https://key@sentry.example.com/1"}'

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """A DSN that is none, or leads where a channel may not go."""
        dsn = _dsn(secrets)
        return [_MALFORMED] if dsn is None else forbidden(_address(dsn))

    def goes_to(self, config: Mapping[str, Any]) -> str:  # noqa: ARG002
        """The DSN is an address."""
        return ""

    def deliver(
        self,
        message: Message,
        config: Mapping[str, Any],
        secrets: Mapping[str, Any],
        threads: Sequence[Thread] = (),
        receipt: Mapping[str, Any] = NO_RECEIPT,
    ) -> Outcome:
        """Send the events that were not sent yet, each in an envelope, which holds one. Sentry knows a repetition by its id."""
        dsn = _dsn(secrets)
        if dsn is None:
            return Rejected(_MALFORMED)
        progress = Progress("Sentry", receipt)
        for one in events(message, config, threads):
            outcome = progress.take(one["event_id"], partial(_send, dsn, one))
            if not isinstance(outcome, Delivered):
                return outcome
        return Delivered()


def _send(dsn: Dsn, one: Mapping[str, Any]) -> Outcome:
    envelope = Envelope()
    envelope.add_event(one)  # type: ignore[arg-type]
    headers = {
        "content-type": "application/x-sentry-envelope",
        "content-encoding": "gzip",
        "x-sentry-auth": str(dsn.to_auth("agent-monitoring").to_header()),
    }
    answer = reach(_address(dsn), gzip.compress(envelope.serialize()), headers)
    return judge(answer.status, answer.headers, time.time(), rate_limit) if isinstance(answer, Answer) else answer


def _dsn(secrets: Mapping[str, Any]) -> Dsn | None:
    try:
        return Dsn(str(secrets.get("dsn") or ""))
    except (BadDsn, ValueError):  # a port that is no number
        return None


def _address(dsn: Dsn) -> str:
    return str(dsn.to_auth().get_api_url())


def rate_limit(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds for which errors are not taken, as far as they are kept: X-Sentry-Rate-Limits, else Retry-After.

    "60:error;transaction:key, 2700::organization" are limits of categories (none named: all of them).
    https://develop.sentry.dev/sdk/expected-features/rate-limiting/
    """
    found = []
    for limit in headers.get("x-sentry-rate-limits", "").split(","):
        seconds, _, rest = limit.strip().partition(":")
        categories = rest.partition(":")[0]
        if seconds.isdecimal() and (not categories or "error" in categories.split(";")):
            found.append(float(seconds))
    return kept_wait(max(found)) if found else retry_after(headers, now)


def events(message: Message, config: Mapping[str, Any], threads: Sequence[Thread]) -> list[dict[str, Any]]:
    """An event for each tenant that a beginning named, in the tenant's issue, and one of the group for all that it did not.

    What follows goes where it began, so a tenant's issue gets its end and the group's ends with its last tenant.
    """
    now = {alert.tenant or "": alert for alert in message.alerts}
    begun = frozenset().union(*(thread.about for thread in threads))
    found = [_of_tenant(message, alert, config) for tenant, alert in now.items() if tenant not in begun]
    group = message.count > len(message.alerts) and not begun
    for thread in threads:
        named = {alert.tenant or "": alert for alert in thread.message.alerts}
        own = sorted(thread.about & named.keys())
        found += [_of_tenant(message, now.get(tenant) or _unsaid(named[tenant]), config) for tenant in own]
        if thread.count > len(named):
            group = group or (thread.open == 0 if message.kind == "resolved" else bool(thread.about - named.keys()))
    return [*found, _of_group(message, config)] if group else found


def _of_tenant(message: Message, alert: AlertFacts, config: Mapping[str, Any]) -> dict[str, Any]:
    one = event(replace(message, alerts=[alert], count=1), config)
    # Of one tenant it is the notification itself.
    return one if message.count == 1 else {**one, "event_id": uuid5(UUID(message.id), f"tenant {alert.tenant}").hex}


def _of_group(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    one = event(message, config)
    fingerprint = ["agent-monitoring", message.rule.name, "group"]
    return {**one, "event_id": uuid5(UUID(message.id), "group").hex, "fingerprint": fingerprint}


def _unsaid(alert: AlertFacts) -> AlertFacts:
    """Of a tenant that the message does not name among its worst the beginning is known, and no value."""
    return replace(alert, value=None, reason=f"began with {alert.reason}")


def event(message: Message, config: Mapping[str, Any]) -> dict[str, Any]:
    """The event: fingerprint by rule and tenant, level by severity, the numbers as a context."""
    tenant = (message.alerts[0].tenant or "all tenants") if message.count == 1 else f"{message.count} tenants"
    fingerprint = "group" if message.count > 1 else tenant
    return {
        "event_id": UUID(message.id).hex,
        "timestamp": datetime.now(UTC).isoformat(),
        "platform": "other",
        "logger": "monitoring.notifications",
        "level": "info" if message.kind == "resolved" else _LEVELS.get(message.rule.severity, "warning"),
        "message": {"formatted": message.title},
        "fingerprint": ["agent-monitoring", message.rule.name, fingerprint],
        "environment": config.get("environment") or "production",
        "tags": {
            "rule": message.rule.name, "tenant": tenant, "severity": message.rule.severity, "kind": message.kind,
            "metric": message.rule.metric,
        },
        "contexts": {"alert": {"type": "alert", **message.payload()}},
    }  # fmt: skip
