"""Queue `notifications`."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.monitoring.notify import delivery, outbox
from apps.monitoring.runs import track


@shared_task(name="monitoring.deliver_channel")
def deliver_channel(channel_id: int) -> None:
    """Deliver what is due on one channel."""
    delivery.deliver_channel(channel_id)


@shared_task(name="monitoring.sweep_notifications")
def sweep_notifications() -> None:
    """Find what is due and what nobody is delivering."""
    with track("sweep_notifications"):
        for channel_id in delivery.due_channels(timezone.now()):
            outbox.ask(channel_id)
