"""Whether the monitoring itself works, judged by work done: what is behind, what is stuck, what was lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
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
from apps.monitoring.query import cache, source
from apps.monitoring.query.errors import QueryError
from apps.monitoring.rollup import disk, periods

MAX_LAG: Final = timedelta(minutes=5)
"""How far roll-up, evaluation or a periodic task may be behind."""
_TICKS: Final = MappingProxyType({"compaction": timedelta(minutes=20), "maintenance": timedelta(hours=2)})
"""The same for the tasks that run less often."""
MAX_UNDELIVERED: Final = timedelta(minutes=15)
"""How long a notification may wait."""
PARTS: Final = ("hot_store", "database", "rollup", "storage", "evaluation", "rules", "tasks", "notifications", "losses")
"""What something may be wrong with."""
GLANCED: Final = tuple(part for part in PARTS if part not in {"storage", "losses"})
"""Those that a glance looks at."""
_GLANCE_SECONDS: Final = 1.0
"""How long a glance waits for the hot store."""
_DEAD_SECONDS: Final = 60.0
"""How old the number of dead notifications may be in a glance."""


@dataclass(slots=True)
class Status:
    """The parts by name, and one line for each thing that is wrong."""

    problems: list[str] = field(default_factory=list)
    failing: set[str] = field(default_factory=set)
    """The parts that something is wrong with, of `PARTS`."""
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
    _look_at_hot_store(found)
    _look_at_database(
        found,
        now,
        (
            _look_at_rollup,
            _look_at_storage,
            _look_at_evaluation,
            _look_at_tasks,
            _look_at_notifications,
            _look_at_losses,
        ),
    )
    return found


def glance(now: datetime) -> Status:
    """The same in milliseconds, without what lies on the disk and what was lost. Never raises.

    A hot store that has not answered within a second does not answer. Notifications that were given up are counted each
    minute.
    """
    hot = Status()
    executor = ThreadPoolExecutor(1)
    try:
        looking = executor.submit(_look_at_hot_store, hot)
        found = Status()
        notifications = partial(_look_at_notifications, count_dead=_dead_lately)
        _look_at_database(found, now, (_look_at_rollup, _look_at_evaluation, _look_at_tasks, notifications))
        try:
            looking.result(_GLANCE_SECONDS)
        except TimeoutError:
            hot = Status()
            hot.fail("hot_store", f"the hot store does not answer within {_GLANCE_SECONDS:g} s")
    finally:
        executor.shutdown(wait=False)
    return Status([*hot.problems, *found.problems], hot.failing | found.failing, {**hot.details, **found.details})


def _look_at_hot_store(found: Status) -> None:
    try:
        store = HotStore.from_conf()
        backlog = [batch for _, batch in store.backlogs(range(store.shards))]
        found.details["hot_store"] = {
            "address": _without_password(conf().redis_url),
            "batches": len(backlog),
            "oldest_minute": isoformat(backlog[0].minute) if backlog else None,
        }
        _look_at_cluster(found, store)
    except redis.exceptions.MovedError as error:
        found.fail("hot_store", f"the hot store is a cluster, REDIS_URL must begin with redis+cluster://: {error}")
    except (redis.RedisError, OSError) as error:
        found.fail("hot_store", f"the hot store does not answer: {error}")


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


def _look_at_database(found: Status, now: datetime, looks: Sequence[Callable[[Status, datetime], None]]) -> None:
    try:
        for look in looks:
            look(found, now)
    except ProgrammingError:
        found.fail("database", "the database does not have the tables of this version: run manage.py migrate")
    except DatabaseError as error:
        found.fail("database", f"the database does not answer: {str(error).splitlines()[0] if str(error) else error!r}")


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


def _dead() -> int:
    return Notification.objects.filter(status=Notification.Status.DEAD).count()


def _dead_lately() -> int:
    """No index leads to them: among 100,000 notifications they take 90 ms to count."""
    return cache.once("dead notifications", _dead, _DEAD_SECONDS)


def _look_at_notifications(found: Status, now: datetime, count_dead: Callable[[], int] = _dead) -> None:
    # What waits for a channel that is switched off waits on purpose.
    waiting = Notification.objects.filter(status=Notification.Status.PENDING, channel__enabled=True)
    pending = waiting.aggregate(number=Count("id"), oldest=Min("created_at"))
    dead = count_dead()
    found.details["notifications"] = {
        "pending": pending["number"],
        "oldest_pending": pending["oldest"].isoformat() if pending["number"] else None,
        "dead": dead,
        "failing_channels": list(Channel.objects.filter(failing_since__isnull=False).values_list("name", flat=True)),
    }
    if pending["number"] and now - pending["oldest"] > MAX_UNDELIVERED:
        waited = (now - pending["oldest"]).total_seconds()
        found.fail("notifications", f"{pending['number']} notifications are undelivered, the oldest for {waited:.0f} s")
    if dead:
        found.fail("notifications", f"{dead} notifications were given up; send them again from the admin")


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
