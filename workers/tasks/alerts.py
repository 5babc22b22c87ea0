"""Queue `alerts`."""

from __future__ import annotations

import time

from celery import shared_task

from apps.monitoring.alerts import evaluate as evaluation
from apps.monitoring.runs import track


@shared_task(name="monitoring.evaluate")
def evaluate() -> None:
    """Judge every minute that is complete and not judged yet."""
    with track("evaluate"):
        evaluation.evaluate(time.time())
