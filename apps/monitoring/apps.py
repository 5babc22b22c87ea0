"""The Django application."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import pre_delete

from apps.monitoring import endings
from apps.monitoring.conf import conf


class MonitoringConfig(AppConfig):
    """Monitoring and alerting for AI customer-service agents."""

    name = "apps.monitoring"
    label = "monitoring"
    verbose_name = "Agent monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Begin to watch for the end of the process and of rules, and for edits."""
        pre_delete.connect(_before_delete, sender="monitoring.AlertRule")
        _watch_edits()
        if conf().flush_on_sigterm:
            endings.watch_sigterm()


def _before_delete(instance: Any, **_: object) -> None:
    # Late: models are not loaded yet when this file is, and who deletes no rule needs none of this.
    from apps.monitoring.alerts.deletion import before_delete

    before_delete(instance)


def _watch_edits() -> None:
    # Late, for the same reason.
    from apps.monitoring.audit import entries

    entries.watch()
