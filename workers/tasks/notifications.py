"""Queue `notifications`."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.monitoring.notify import delivery
from apps.monitoring.notify.sweep import sweep
from apps.monitoring.runs import track


@shared_task(name="monitoring.deliver_channel")
def deliver_channel(channel_id: int) -> None:
    """Deliver what is due on one channel."""
    delivery.deliver_channel(channel_id)


@shared_task(name="monitoring.sweep_notifications")
def sweep_notifications() -> None:
    """Find what is due, what waits too long, and which channels fail."""
    with track("sweep_notifications"):
        sweep(timezone.now())
