"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig

from apps.monitoring import endings
from apps.monitoring.conf import conf


class MonitoringConfig(AppConfig):
    """Monitoring and alerting for AI customer-service agents."""

    name = "apps.monitoring"
    label = "monitoring"
    verbose_name = "Agent monitoring"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Begin to watch for the end of the process."""
        if conf().flush_on_sigterm:
            endings.watch_sigterm()
