"""The Celery application: `celery -A workers.app worker`."""

from __future__ import annotations

import os
import warnings
from typing import Final

from celery import Celery
from celery.exceptions import SecurityWarning

# Root is what containers and CI run as; the tasks take JSON only, so nothing they receive is executed.
warnings.filterwarnings("ignore", category=SecurityWarning)
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

QUEUES: Final = ("rollup", "alerts", "notifications", "maintenance")

app = Celery("monitoring")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.update(
    # A periodic task that somebody adds in the admin without a queue is run, too.
    task_default_queue="maintenance",
    include=[f"workers.tasks.{queue}" for queue in QUEUES],
    task_routes={
        "monitoring.rollup*": {"queue": "rollup"},
        "monitoring.evaluate": {"queue": "alerts"},
        "monitoring.deliver*": {"queue": "notifications"},
        "monitoring.sweep*": {"queue": "notifications"},
        "monitoring.maintenance": {"queue": "maintenance"},
        "monitoring.compaction*": {"queue": "maintenance"},
    },
    # A task that a killed worker had is run again; every task is idempotent.
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    task_ignore_result=True,
    result_expires=None,  # else beat gets an entry that cleans up results that nobody keeps
    task_soft_time_limit=240,
    task_time_limit=300,
    broker_connection_retry_on_startup=True,
    # Kombu looks for unacknowledged messages only every restore_interval * throttle seconds (100 by default),
    # whatever the visibility timeout says.
    broker_transport_options={"visibility_timeout": 600, "unacked_restore_interval": 1, "unacked_restore_throttle": 1},
    worker_hijack_root_logger=False,
    timezone="UTC",
)
