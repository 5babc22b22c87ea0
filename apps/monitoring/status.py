"""Whether the monitoring itself works, judged by work done: what is behind, what is stuck, what was lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import redis
from django.db import DatabaseError, ProgrammingError
from django.db.models import Count, Min, Q

from apps.monitoring.alerts import history
from apps.monitoring.catalogue import LOSSES
from apps.monitoring.conf import conf
from apps.monitoring.core.clock import isoformat, minute_of, to_datetime
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import AlertRule, Channel, EvaluationProgress, Notification, TaskRun
from apps.monitoring.query import source
from apps.monitoring.query.errors import QueryError
from apps.monitoring.rollup import disk, periods

MAX_LAG: Final = timedelta(minutes=5)
"""How far roll-up, evaluation or a periodic task may be behind."""
_TICKS: Final = MappingProxyType({"compaction": timedelta(minutes=20), "maintenance": timedelta(hours=2)})
"""The same for the tasks that run less often."""
MAX_UNDELIVERED: Final = timedelta(minutes=15)
"""How long a notification may wait."""


@dataclass(slots=True)
class Status:
    """The parts by name, and one line for each thing that is wrong."""

    problems: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    """The parts that something is wrong with.

    hot_store, database, rollup, storage, evaluation, rules, tasks, notifications, losses."""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def healthy(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def fail(self, part: str, problem: str) -> None:
        """Something is wrong with a part."""
        self.failing.add(part)
        self.problems.append(problem)


def status(now: datetime) -> Status:
    """Look at every part. Never raises: a store that does not answer is a problem with a line of its own."""
    found = Status()
    try:
        store = HotStore.from_conf()
        backlog = [batch for shard in range(store.shards) for batch in store.backlog(shard)]
        oldest = min((batch.minute for batch in backlog), default=None)
        found.details["hot_store"] = {
            "address": _without_password(conf().redis_url),
            "batches": len(backlog),
            "oldest_minute": None if oldest is None else isoformat(oldest),
        }
        _look_at_cluster(found, store)
    except redis.exceptions.MovedError as error:
        found.fail("hot_store", f"the hot store is a cluster, REDIS_URL must begin with redis+cluster://: {error}")
    except (redis.RedisError, OSError) as error:
        found.fail("hot_store", f"the hot store does not answer: {error}")
    try:
        _look_at_database(found, now)
    except ProgrammingError:
        found.fail("database", "the database does not have the tables of this version: run manage.py migrate")
    except DatabaseError as error:
        found.fail("database", f"the database does not answer: {str(error).splitlines()[0] if str(error) else error!r}")
    return found


def _look_at_cluster(found: Status, store: HotStore) -> None:
    cluster = store.describe()
    if cluster:
        found.details["hot_store"]["cluster"] = cluster
        if cluster["state"] != "ok":
            found.fail("hot_store", f"the cluster of the hot store is {cluster['state']}: see CLUSTER INFO and CLUSTER NODES")


def _without_password(url: str) -> str:
    found = urlsplit(url)
    # It may stand in the query as well.
    return urlunsplit(found._replace(netloc=found.netloc.rpartition("@")[2], query=""))


def _look_at_database(found: Status, now: datetime) -> None:
    _look_at_rollup(found, now)
    _look_at_storage(found, now)
    _look_at_evaluation(found, now)
    _look_at_tasks(found, now)
    _look_at_notifications(found, now)
    _look_at_losses(found, now)


def _look_at_rollup(found: Status, now: datetime) -> None:
    until = source.watermark(HotStore.from_conf().shards)
    lag = None if until is None else (now - to_datetime(until)).total_seconds()
    found.details["rollup"] = {"complete_until": None if until is None else isoformat(until), "lag_seconds": lag}
    if lag is None:
        found.fail("rollup", "no roll-up has ever finished: are beat and a worker of the queue rollup running?")
    elif lag > MAX_LAG.total_seconds():
        found.fail("rollup", f"the roll-up is {lag:.0f} s behind: are beat and a worker of the queue rollup running?")


def _look_at_storage(found: Status, now: datetime) -> None:
    """What the snapshots take on disk, what they will take, and whether what is too old goes."""
    found.details["compaction"] = {
        f"stale_{resolution.name.lower()}s": periods.stale_count(resolution) for resolution in (Resolution.HOUR, Resolution.DAY)
    }
    storage: dict[str, Any] = {}
    for usage in disk.usage(now):
        storage[f"{usage.resolution.name.lower()}s"] = {
            "bytes": usage.bytes,
            "partitions": len(usage.partitions),
            "oldest": None if usage.oldest is None else usage.oldest.isoformat(),
            "kept_days": usage.kept_days,
            "forecast_bytes": usage.forecast,
        }
        overdue = usage.overdue(now)
        if overdue:
            found.fail(
                "storage",
                f"{len(overdue)} partitions should be gone, the oldest is {overdue[0].name}: "
                "do a worker of the queue maintenance and the evaluation keep up?",
            )
    series = disk.series()
    storage["series"] = {
        "bytes": series.bytes,
        "about": series.number,
        "purged": series.purged,
        "purged_at": None if series.purged_at is None else series.purged_at.isoformat(),
    }
    found.details["storage"] = {**storage, "tables": disk.tables()}
    found.details["history"] = {
        one.part: {"kept_days": one.kept_days, "oldest": None if one.oldest is None else one.oldest.isoformat()}
        for one in history.remembered()
    }


def _look_at_evaluation(found: Status, now: datetime) -> None:
    progress = EvaluationProgress.objects.first()
    judged = AlertRule.objects.filter(Q(enabled=True) | Q(states__isnull=False))
    errors = list(judged.exclude(error="").values_list("name", flat=True).distinct())
    found.details["evaluation"] = {
        "next_minute": None if progress is None else f"{progress.next_minute:%Y-%m-%dT%H:%M:%SZ}",
        "lag_seconds": None if progress is None else (now - progress.next_minute).total_seconds(),
        "rules_in_error": errors,
    }
    if progress is not None and now - progress.next_minute > MAX_LAG:
        lag = (now - progress.next_minute).total_seconds()
        found.fail("evaluation", f"the evaluation is {lag:.0f} s behind: is a worker of the queue alerts running?")
    if progress is None and "rollup" not in found.failing and _is_judged_by_nobody():
        found.fail("evaluation", "no evaluation has ever finished: is a worker of the queue alerts running?")
    for name in errors:
        found.fail("rules", f"rule {name} is in error; see it in the admin")


def _is_judged_by_nobody() -> bool:
    """Whether there are rules and no evaluation has finished yet. One that finds no data leaves no minute, but that it ran."""
    looked = TaskRun.objects.filter(name="evaluate", succeeded_at__isnull=False)
    return AlertRule.objects.filter(enabled=True).exists() and not looked.exists()


def _look_at_tasks(found: Status, now: datetime) -> None:
    tasks: dict[str, Any] = {}
    for run in TaskRun.objects.order_by("name"):
        tasks[run.name] = {
            "started_at": run.started_at.isoformat(),
            "succeeded_at": None if run.succeeded_at is None else run.succeeded_at.isoformat(),
            "failures": run.failures,
            "error": run.error,
        }
        limit, ran, finished = _TICKS.get(run.name, MAX_LAG), now - run.started_at, now - (run.succeeded_at or run.created_at)
        if run.failures:
            found.fail("tasks", f"task {run.name} failed {run.failures} times in a row: {run.error.splitlines()[0]}")
        elif ran > limit:
            found.fail("tasks", f"task {run.name} last ran {ran.total_seconds():.0f} s ago")
        elif finished > limit:  # what is killed leaves no failure
            waited = finished.total_seconds()
            found.fail("tasks", f"task {run.name} is begun and has not finished for {waited:.0f} s: is its worker killed?")
    found.details["tasks"] = tasks


def _look_at_notifications(found: Status, now: datetime) -> None:
    # What waits for a channel that is switched off waits on purpose.
    counted = Notification.objects.exclude(status=Notification.Status.PENDING, channel__enabled=False)
    states = counted.values("status").annotate(number=Count("id"), oldest=Min("created_at"))
    by_status = {row["status"]: row for row in states}
    pending = by_status.get(Notification.Status.PENDING)
    dead = by_status.get(Notification.Status.DEAD)
    found.details["notifications"] = {
        "pending": pending["number"] if pending else 0,
        "oldest_pending": pending["oldest"].isoformat() if pending else None,
        "dead": dead["number"] if dead else 0,
        "failing_channels": list(Channel.objects.filter(failing_since__isnull=False).values_list("name", flat=True)),
    }
    if pending and now - pending["oldest"] > MAX_UNDELIVERED:
        waited = (now - pending["oldest"]).total_seconds()
        found.fail("notifications", f"{pending['number']} notifications are undelivered, the oldest for {waited:.0f} s")
    if dead:
        found.fail("notifications", f"{dead['number']} notifications were given up; send them again from the admin")


def _look_at_losses(found: Status, now: datetime) -> None:
    if "hot_store" in found.failing:
        return  # who asks it again waits again
    end = minute_of(now.timestamp()) + 1
    try:
        cells = source.read(GLOBAL, end - 24 * 60, end, HotStore.from_conf()).cells
    except QueryError:
        return  # the hot store's own line says it
    events = {key.values[0]: cell.count for key, cell in cells.items() if key.metric == "monitor_events"}
    refused = {key.values[0]: cell.count for key, cell in cells.items() if key.metric == "refused_values"}
    found.details["last_24h"] = {"monitor_events": events, "refused_values": refused}
    for name in sorted(LOSSES & events.keys()):
        found.fail("losses", f"{name} in the last 24 h: {events[name]}")
