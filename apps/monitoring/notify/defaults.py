"""The channels that the environment asks for."""

from __future__ import annotations

from typing import Any

from django.conf import settings

from apps.monitoring.models import Channel


def wanted() -> list[dict[str, Any]]:
    """The log always; mail, webhook, Slack, PagerDuty and Sentry when the settings name them."""
    found: list[dict[str, Any]] = [{"name": "log", "kind": "log"}]
    if settings.MONITORING_ALERT_EMAILS:
        found.append({"name": "email", "kind": "email", "config": {"to": settings.MONITORING_ALERT_EMAILS}})
    if settings.MONITORING_WEBHOOK_URL:
        secret = settings.MONITORING_WEBHOOK_SECRET
        found.append(
            {
                "name": "webhook",
                "kind": "webhook",
                "config": {"url": settings.MONITORING_WEBHOOK_URL},
                "secrets": {"secret": secret} if secret else {},
            }
        )
    if settings.MONITORING_SLACK_WEBHOOK_URL:
        found.append({"name": "slack", "kind": "slack", "secrets": {"url": settings.MONITORING_SLACK_WEBHOOK_URL}})
    if settings.MONITORING_PAGERDUTY_ROUTING_KEY:
        key = settings.MONITORING_PAGERDUTY_ROUTING_KEY
        found.append({"name": "pagerduty", "kind": "pagerduty", "secrets": {"routing_key": key}})
    if settings.SENTRY_DSN:
        found.append({"name": "sentry", "kind": "sentry", "secrets": {"dsn": settings.SENTRY_DSN}})
    return found


def create_missing_channels() -> list[str]:
    """Create the wanted channels that do not exist, as default channels; returns their names."""
    made = []
    for channel in wanted():
        # Without a look at secrets: those of an earlier key cannot be read.
        if not Channel.without_secrets.filter(name=channel["name"]).exists():
            Channel.objects.create(**channel, is_default=True)
            made.append(channel["name"])
    return made
