"""The Django application of a site that records, and leaves the rest to another: it has no models."""

from __future__ import annotations

from django.apps import AppConfig

from apps.monitoring import endings
from apps.monitoring.conf import conf
from apps.monitoring.ingest.recorder import get_ready


class InstrumentConfig(AppConfig):
    """For the agent's own site; the site of the monitoring has the application `apps.monitoring`."""

    name = "apps.monitoring.instrument"
    label = "monitoring_instrument"
    verbose_name = "Agent monitoring: recording"

    def ready(self) -> None:
        """Begin to watch for the end of the process, and read the price list before any request waits for it."""
        get_ready()
        if conf().flush_on_sigterm:
            endings.watch_sigterm()
