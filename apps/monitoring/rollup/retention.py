"""How long rows are kept: what is too old is dropped by whole partitions, never before a coarser row holds it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.utils import timezone

from apps.monitoring.conf import conf
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.core.resolution import Resolution
from apps.monitoring.core.rules import MAX_WINDOW
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import AlertRule, Compaction, EvaluationProgress, Judging, RollupBatch
from apps.monitoring.rollup import floors, locks, partitions, purge
from apps.monitoring.rollup.floors import StaleError

_log = logging.getLogger(__name__)

_SETTLE: Final = timedelta(minutes=10)
"""Between the moving of a floor and the dropping: a reader that saw the old floor has ended by then."""
_PROOF: Final = timedelta(minutes=MAX_WINDOW) + timedelta(days=5)
"""How long the proof of a batch is kept: the longest window, or the month of a budget, looks for data that far back."""
_PROOF_MARGIN: Final = timedelta(days=1)
_AT_ONCE: Final = 10_000


@dataclass(slots=True)
class Retained:
    """What a run did. ``held_up`` says what could not be dropped, and why."""

    dropped: list[str] = field(default_factory=list)
    in_use: list[str] = field(default_factory=list)
    held_up: list[str] = field(default_factory=list)
    series: int = 0
    """Those that had no row any more."""
    proofs: int = 0
    busy: bool = False


def kept_days(resolution: Resolution) -> int:
    """How many days rows of a resolution are kept by the settings.

    Those of a minute at least as long as a rule looks back, coarser ones at least as long as finer ones: what is late for a
    minute belongs to its hour and its day as well.
    """
    settings = conf()
    minutes = max(settings.retention_minute_days, _longest_reach() // Resolution.DAY + 2)
    hours = max(settings.retention_hour_days, minutes)
    days = max(settings.retention_day_days, hours)
    return {Resolution.MINUTE: minutes, Resolution.HOUR: hours, Resolution.DAY: days}[resolution]


def _longest_reach() -> int:
    return max((rule.definition().reach for rule in AlertRule.objects.filter(enabled=True)), default=0)


def destination(minute: int) -> Resolution | None:
    """The finest resolution that still has rows of a minute; None when it is older than everything that is kept."""
    oldest = timezone.now() - timedelta(days=conf().retention_day_days)
    return floors.destination(minute, to_minute(oldest))


def without_proof(moment: datetime) -> bool:
    """Whether the proofs of batches of a minute may be gone already."""
    return moment < timezone.now() - _PROOF + _PROOF_MARGIN


def retain(now: datetime, store: HotStore) -> Retained:
    """Move the floors, drop what lies below, purge series without rows, forget proofs that nobody asks for.

    Safe to break off anywhere. Raises RedisError when the hot store cannot say which batches it still holds; everything
    else is done by then.
    """
    with locks.retention() as mine:
        if not mine:
            return Retained(busy=True)
        result = Retained()
        for resolution in (Resolution.DAY, Resolution.HOUR, Resolution.MINUTE):
            _move_floor(resolution, now, result)
            _drop_below(resolution, now, result)
        _forget_periods()
        _forget_judgings()
        result.series = purge.purge()
        result.proofs = _retire_proofs(now, store)
        return result


def _move_floor(resolution: Resolution, now: datetime, result: Retained) -> None:
    to = _floor(resolution, now)
    try:
        floors.move(resolution, to, now)
    except StaleError as error:
        result.held_up.append(f"rows of {resolution.name.lower()}s before {to:%Y-%m-%d}: {error}")


def _floor(resolution: Resolution, now: datetime) -> datetime:
    """The start of the partition up to which rows are too old, and that no rule has yet to judge."""
    too_old = now - timedelta(days=kept_days(resolution))
    progress = EvaluationProgress.objects.first()
    if progress is not None and resolution is not Resolution.DAY:
        too_old = min(too_old, progress.next_minute - timedelta(minutes=_longest_reach()))
    return partitions.bounds(resolution, too_old)[1]


def _drop_below(resolution: Resolution, now: datetime, result: Retained) -> None:
    floor = floors.settled(resolution, now - _SETTLE)
    for partition in partitions.existing(resolution):
        if partition.end > floor:
            continue
        if not partitions.drop(partition):
            result.in_use.append(partition.name)
            return  # only one can be half detached at a time
        _log.info("dropped %s: %d bytes", partition.name, partition.bytes)
        result.dropped.append(partition.name)


def _forget_periods() -> None:
    """A period whose own rows are gone is nobody's business any more."""
    for resolution, floor in floors.read().items():
        Compaction.objects.filter(resolution=resolution, ts__lt=to_datetime(floor)).delete()


def _forget_judgings() -> None:
    """Of minutes that are not kept one by one nobody can explain any more what was judged."""
    floor = floors.read().get(Resolution.MINUTE)
    if floor is not None:
        Judging.objects.filter(until__lte=to_datetime(floor)).delete()


def _retire_proofs(now: datetime, store: HotStore) -> int:
    """Delete the proofs of old batches that the hot store does not hold any more: only what it holds can be sent again."""
    held = {batch.id for shard in range(store.shards) for batch in store.backlog(shard)}
    old = RollupBatch.objects.filter(committed_at__lt=now - _PROOF, minute__lt=now - _PROOF).exclude(id__in=held)
    return sum(RollupBatch.objects.filter(id__in=chunk).delete()[0] for chunk in _chunks(old.values_list("id", flat=True)))


def _chunks(ids: Any) -> Iterator[list[UUID]]:
    while chunk := list(ids[:_AT_ONCE]):
        yield chunk
