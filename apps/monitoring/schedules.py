"""What beat does and how often. Ops edit it in the admin; it is never overwritten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django_celery_beat.models import IntervalSchedule, PeriodicTask


@dataclass(frozen=True, slots=True)
class Schedule:
    """A periodic task. A tick that no worker took within ``expires`` seconds is dropped: the next one does its work."""

    name: str
    task: str
    queue: str
    every_seconds: int
    expires_seconds: int
    description: str


SCHEDULES: Final = (
    Schedule("monitoring: roll-up", "monitoring.rollup", "rollup", 15, 60, "Seals each minute that ended and rolls it up."),
    Schedule("monitoring: evaluation", "monitoring.evaluate", "alerts", 15, 60, "Judges each complete minute once."),
    Schedule(
        "monitoring: sweep notifications", "monitoring.sweep_notifications", "notifications", 60, 120,
        "Finds notifications that are due and that nobody is delivering.",
    ),
    Schedule(
        "monitoring: compaction", "monitoring.compaction", "maintenance", 300, 300,
        "Merges each hour that is over out of its minutes, and each day out of its hours.",
    ),
    Schedule(
        "monitoring: maintenance", "monitoring.maintenance", "maintenance", 3_600, 3_600,
        "Makes time partitions ahead, checks what was compacted, drops what is older than the retention.",
    ),
)  # fmt: skip


def create_missing() -> list[str]:
    """Create the schedules that do not exist; returns their names. Intervals, not crontabs: no clock change moves them."""
    made: list[str] = []
    for schedule in SCHEDULES:
        every = {"every": schedule.every_seconds, "period": IntervalSchedule.SECONDS}
        # There may be several that are alike: the admin makes them.
        interval = IntervalSchedule.objects.filter(**every).first() or IntervalSchedule.objects.create(**every)
        _, created = PeriodicTask.objects.get_or_create(
            name=schedule.name,
            defaults={
                "task": schedule.task,
                "queue": schedule.queue,
                "interval": interval,
                "expire_seconds": schedule.expires_seconds,
                "description": schedule.description,
            },
        )
        if created:
            made.append(schedule.name)
    return made
