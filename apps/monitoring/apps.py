"""The Django application."""

from __future__ import annotations

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    """Monitoring and alerting for AI customer-service agents."""

    name = "apps.monitoring"
    label = "monitoring"
    verbose_name = "Agent monitoring"
    default_auto_field = "django.db.models.BigAutoField"
