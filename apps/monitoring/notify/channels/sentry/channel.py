"""Notifications as Sentry events, one issue for each rule and tenant.

The event and its envelope are built with the SDK; it is sent here, because the SDK's transport does not tell
whether Sentry took it. https://develop.sentry.dev/sdk/data-model/envelopes/
"""

from __future__ import annotations

import gzip
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import httpx
from sentry_sdk.envelope import Envelope
from sentry_sdk.utils import BadDsn, Dsn

from apps.monitoring.notify.channels.http import judge
from apps.monitoring.notify.channels.outcome import Outcome, Rejected, Retry
from apps.monitoring.notify.message import Message, condition

_TIMEOUT: Final = httpx.Timeout(10.0, connect=5.0)
_LEVELS: Final = {"info": "info", "warning": "warning", "error": "error", "critical": "fatal"}


class SentryChannel:
    """``secrets``: {"dsn": …}; ``config``: {"environment": optional}."""

    kind = "sentry"

    def problems(self, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> list[str]:  # noqa: ARG002
        """A DSN that is none."""
        try:
            Dsn(str(secrets.get("dsn") or ""))
        except BadDsn:
            return ["the DSN is not one that Sentry gives"]
        return []

    def deliver(self, message: Message, config: Mapping[str, Any], secrets: Mapping[str, Any]) -> Outcome:
        """Send one envelope with one event, whose id is the notification's."""
        try:
            auth = Dsn(str(secrets.get("dsn") or "")).to_auth("agent-monitoring")
        except BadDsn:
            return Rejected("the DSN is not one that Sentry gives")
        envelope = Envelope()
        envelope.add_event(event(message, config))  # type: ignore[arg-type]
        headers = {
            "content-type": "application/x-sentry-envelope",
            "content-encoding": "gzip",
            "x-sentry-auth": str(auth.to_header()),
        }
        try:
            with httpx.Client(timeout=_TIMEOUT, trust_env=False) as client:
                answer = client.post(auth.get_api_url(), content=gzip.compress(envelope.serialize()), headers=headers)
        except httpx.HTTPError as error:
            return Retry(f"Sentry cannot be reached: {type(error).__name__}")
        return judge(answer.status_code, answer.headers, time.time())


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
        "message": {"formatted": f"{message.subject}: {condition(message.rule)}"},
        "fingerprint": ["agent-monitoring", message.rule.name, fingerprint],
        "environment": config.get("environment") or "production",
        "tags": {
            "rule": message.rule.name, "tenant": tenant, "severity": message.rule.severity, "kind": message.kind,
            "metric": message.rule.metric,
        },
        "contexts": {"alert": {"type": "alert", **message.payload()}},
    }  # fmt: skip
