"""Queue `maintenance`."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from apps.monitoring.rollup.maintenance import maintain
from apps.monitoring.runs import track


@shared_task(name="monitoring.maintenance")
def maintenance() -> None:
    """Make time partitions ahead."""
    with track("maintenance"):
        maintain(timezone.now())
