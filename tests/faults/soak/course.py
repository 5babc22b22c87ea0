"""One run: disturb, calm down, send every flush once more, roll up the rest, compare."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm

from tests.faults.soak import disturbances, journal, ledger
from tests.faults.soak.site import BEATS, SHARDS, WORKERS, WRITERS, Site

_LONGEST_PAUSE = 0.7
_CALM_SECONDS = 90.0
_MISMATCHES = (
    "SELECT count(*) FROM monitoring_series s JOIN monitoring_metricsnapshot m ON m.series_id = s.id "
    "WHERE s.metric = 'monitor_events' AND s.labels LIKE '%compaction_mismatches%'"
)
_NAMELESS = (
    "SELECT count(*) FROM monitoring_metricsnapshot m LEFT JOIN monitoring_series s ON s.id = m.series_id "
    "WHERE coalesce(s.leased_until < (m.ts AT TIME ZONE 'UTC')::date, true)"
)


@dataclass
class Verdict:
    """``wrong`` is what must not be: empty when everything counted once."""

    seed: int
    done: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    lives_of_writers: int = 0
    recorded: int = 0
    counted: int = 0
    flushes: int = 0
    unanswered: int = 0
    applied_late: int = 0
    """Flushes without an answer that had not been applied."""
    batches: int = 0
    merged: int = 0
    """Batches of a minute that was in the snapshots already."""
    compared: int = 0
    """Series of a minute, an hour or a day."""
    crowded: int = 0
    """Those of so many conversations that no sketch is exact."""
    compacted: int = 0
    """Hours and days that the workers had made before the end."""
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> str:
        shown = {name: value for name, value in vars(self).items() if name != "wrong"}
        told = [f"{name.replace('_', ' '):18} {dict(v) if isinstance(v, Counter) else v}" for name, v in shown.items()]
        return "\n".join([*told, f"wrong              {len(self.wrong)}", *self.wrong[:20]])


def run(folder: Path, count: int, seed: int) -> Verdict:
    """Disturb a site so many times. What it leaves in the folder explains what went wrong."""
    chance = random.Random(seed)
    verdict = Verdict(seed)
    began = time.monotonic()
    with Site(folder, seed) as site:
        _settle(site)
        plan = disturbances.drawn(chance, count)
        for disturbance in tqdm(plan, desc=f"soak, seed {seed}", unit="disturbance", file=sys.stderr, mininterval=2):
            disturbance(site, chance)
            verdict.done[disturbance.__name__] += 1
            time.sleep(chance.uniform(0, _LONGEST_PAUSE))
            site.revive()
        site.stop_all(*WRITERS)
        told = journal.read(folder)
        _send_again(site, told, verdict)
        _wait_for_workers(site)
        site.stop_all(*BEATS, *WORKERS)
        verdict.compacted = _one(site, "SELECT count(*) FROM monitoring_compaction WHERE compacted > 0")
        site.finish()
        _judge(site, told, verdict)
        verdict.ended = site.ended
    verdict.seconds = round(time.monotonic() - began, 1)
    return verdict


def _settle(site: Site) -> None:
    """Until the first batch is in the snapshots."""
    _until("the first roll-up", lambda: _one(site, "SELECT count(*) FROM monitoring_rollupbatch"), site, 60)


def _send_again(site: Site, told: list[journal.Told], verdict: Verdict) -> None:
    """Every flush once more, under its number: a confirmed one is known, one without an answer is applied if it was not."""
    store = site.store()
    for one in told:
        for flush in one.flushes.values():
            verdict.flushes += 1
            answer = one.answers.get(flush.id)
            (applied,) = store.apply(flush.writer, {flush.shard: (flush.sequence, flush.records)}).values()
            if isinstance(applied, Exception):
                verdict.wrong.append(f"{flush.id} is refused: {applied}")
            elif answer is None or answer.error:
                verdict.unanswered += 1
                verdict.applied_late += bool(applied)
            elif applied:
                verdict.wrong.append(f"{flush.id} was confirmed, and the hot store does not know it any more")


def _wait_for_workers(site: Site) -> None:
    """Nobody disturbs the workers any more: they roll up what is due."""
    store = site.store()

    def drained() -> bool:
        site.revive()
        due = int(time.time() - 60) // 60  # a minute's grace has passed for certain
        return all(batch.minute >= due for shard in range(SHARDS) for batch in store.backlog(shard))

    _until("the workers have rolled up what is due", drained, site, _CALM_SECONDS)


def _judge(site: Site, told: list[journal.Told], verdict: Verdict) -> None:
    verdict.lives_of_writers = len(told)
    verdict.recorded = sum(len(one.events) for one in told)
    book = ledger.Ledger(event for one in told for event in one.counted())
    verdict.counted = book.events
    for minutes in ledger.RESOLUTIONS:
        wanted, found = book.entries(minutes), ledger.stored(site.postgres.url, minutes)
        verdict.compared += len(wanted)
        verdict.crowded += sum(ledger.is_crowded(key, entry) for key, entry in wanted.items())
        verdict.wrong += [f"in {minutes} minutes: {line}" for line in ledger.differences(wanted, found)]
    if _one(site, _MISMATCHES):
        verdict.wrong.append("an hour or day was not the merge of what it was made of (compaction_mismatches)")
    if nameless := _one(site, _NAMELESS):
        verdict.wrong.append(f"{nameless} rows have no series, or one that could be purged")
    verdict.batches = _one(site, "SELECT count(*) FROM monitoring_rollupbatch")
    verdict.merged = verdict.batches - _one(
        site, "SELECT count(*) FROM (SELECT DISTINCT shard, minute FROM monitoring_rollupbatch) x"
    )
    left = [key for key in site.client().keys("agentmon:*") if ":w:" not in key]
    verdict.wrong += [f"the hot store still has {key}" for key in left]


def _one(site: Site, query: str) -> int:
    with site.connect() as connection:
        (value,) = connection.execute(query).fetchone() or (0,)
        return int(value)


def _until(what: str, check: Callable[[], Any], site: Site, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what} (seed {site.seed})\n{site.told()}"
        time.sleep(0.2)
