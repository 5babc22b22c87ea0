"""The last run of each periodic task, so that silence is noticed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db.models import F
from django.utils import timezone

from apps.monitoring.models import TaskRun


@contextmanager
def track(name: str) -> Iterator[None]:
    """Note that a task runs, and how it ended; whatever it raises goes on."""
    TaskRun.objects.update_or_create(name=name, defaults={"started_at": timezone.now()})
    try:
        yield
    except Exception as error:
        TaskRun.objects.filter(name=name).update(failures=F("failures") + 1, error=f"{type(error).__name__}: {error}"[:2000])
        raise
    TaskRun.objects.filter(name=name).update(succeeded_at=timezone.now(), failures=0, error="")
