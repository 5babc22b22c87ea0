"""What reading costs while 10,000 tenants go on: minutes begin, are rolled up and compacted, and each is asked about."""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from multiprocessing.connection import Connection
from typing import Any, Final, NamedTuple

from tqdm import tqdm

from tests.bench import ranges
from tests.bench.ranges import DAY, HOUR, TENANT, TENANTS
from tests.unit.ingest.made import flat

MINUTES: Final = 40
"""How long it goes on. Half of them are the end of an hour, and half the beginning of the next one."""
COLD: Final = 5
"""How often each question is the first one of a process."""
COMPACTED_EACH: Final = 5
"""Minutes, as beat does."""
TRAFFIC: Final = 3_200
"""Interactions a minute, of tenants at random."""

Question = Callable[[int], Any]
"""Asks about the time until a minute that is under way."""


class Taken(NamedTuple):
    """Milliseconds of an answer, and of the processor in this process."""

    wall: float
    own: float


def measure(tenants: int = TENANTS) -> list[dict[str, Any]]:
    """One row a question.

    Each minute one process rolls up the minute before, and another one asks every question once, up to the minute that is
    under way in the hot store. ``cold`` is the first answer of a process that was just started and is connected. ``own_p95_ms`` is
    the processor time of the process that asks alone, which does not depend on what else the machine does.
    """
    from django.db import connection

    from apps.monitoring.core.clock import minute_of
    from config import loaded

    begin = minute_of(time.time()) // HOUR * HOUR - HOUR - MINUTES // 2
    ranges.past(begin, tenants)
    connection.close()
    go_on, to_world = multiprocessing.Pipe()
    world = multiprocessing.get_context("fork").Process(target=_world, args=(tenants, begin, to_world))
    world.start()
    go_on.recv()
    questions = _questions(tenants)
    taken: dict[str, list[Taken]] = {name: [] for name in questions}
    for ask in questions.values():
        ask(begin)  # imports, plans and partitions
    loaded.keep()  # as a web process does
    colds = {name: [_in_a_new_process(ask, begin) for _ in range(COLD)] for name, ask in questions.items()}
    for minute in tqdm(range(begin + 1, begin + 1 + MINUTES), desc="reading", unit=" minutes", disable=None):
        go_on.send(minute)
        go_on.recv()
        for name, ask in questions.items():
            taken[name].append(_taken(ask, minute))
    go_on.send(None)
    world.join()
    return [_row(name, colds[name], taken[name]) for name in questions]


def _world(tenants: int, begin: int, told: Connection) -> None:
    """Writers and workers, in a process that is not asked: the traffic of each minute that is told, and what is due by then."""
    from apps.monitoring.ingest.hotstore import HotStore
    from apps.monitoring.rollup import periods
    from apps.monitoring.rollup.compaction import compact_shard
    from apps.monitoring.rollup.shards import roll_up_all

    traffic = Traffic(tenants)
    traffic.send(begin)
    told.send(begin)
    while minute := told.recv():
        traffic.send(minute)
        roll_up_all(minute * 60.0 + 30, HotStore.from_conf())
        if minute % COMPACTED_EACH == 0:
            for shard in periods.stale_shards():
                compact_shard(shard, 60.0)
        told.send(minute)


def _row(name: str, cold: list[float], taken: list[Taken]) -> dict[str, Any]:
    ordered, own = sorted(one.wall for one in taken), sorted(one.own for one in taken)
    most = int(len(ordered) * 0.95) - 1
    return {
        "what": name,
        "cold_ms": round(statistics.median(cold), 1),
        "p50_ms": round(statistics.median(ordered), 1),
        "p95_ms": round(ordered[most], 1),
        "max_ms": round(ordered[-1], 1),
        "own_p95_ms": round(own[most], 1),
    }


class Traffic:
    """What all tenants do in a minute, sent to the hot store."""

    def __init__(self, tenants: int) -> None:
        from apps.monitoring.ingest.buffer import Buffer
        from apps.monitoring.ingest.flusher import Flusher
        from apps.monitoring.ingest.hotstore import HotStore

        self._tenants = tenants
        self._chance = random.Random(11)
        self._buffer = Buffer(10_000)
        self._flusher = Flusher(self._buffer, HotStore.from_conf(), 10_000_000)

    def send(self, minute: int) -> None:
        """A minute of it."""
        owners = [TENANT, *(f"tenant-{self._chance.randrange(self._tenants)}" for _ in range(TRAFFIC - 1))]
        self._buffer.merge([self._interaction(minute, owner, number) for number, owner in enumerate(owners)])
        if not self._flusher.flush():
            raise SystemExit("the hot store did not take the benchmark's records")

    def _interaction(self, minute: int, tenant: str, number: int) -> Any:
        chance = self._chance
        prompt, completion = chance.randrange(200, 4_000), chance.randrange(20, 600)
        return flat(
            "agent_interaction",
            tenant,
            minute * 60.0 + number % 60,
            None,
            {
                "conversation_id": f"{minute}-{number}",
                "agent_response": "…",
                "model_used": f"model {chance.randrange(8)}",
                "confidence_score": chance.betavariate(8, 2),
                "processing_time_ms": chance.lognormvariate(7.3, 0.6),
                "token_usage": {"prompt_tokens": prompt, "completion_tokens": completion},
                "estimated_cost": (prompt * 2.5 + completion * 10) / 1e6,
                "handoff_triggered": chance.random() < 0.1,
                "handoff_reason": f"reason {chance.randrange(8)}",
                "intent": f"intent {chance.randrange(20)}",
            },
        )


def _questions(tenants: int) -> Mapping[str, Question]:
    from django.test import Client

    from apps.monitoring.core.clock import to_datetime
    from apps.monitoring.models import ApiToken
    from apps.monitoring.query import series
    from apps.monitoring.query.series import Range
    from apps.monitoring.query.summary import summary

    p95 = series.Question("response_time", "p95")
    client = Client(SERVER_NAME="localhost", headers={"authorization": f"Bearer {ApiToken.issue('reading')[1]}"})

    def summaries(tenant: str | None, minutes: int) -> Question:
        return lambda now: summary(tenant, to_datetime(now + 1 - minutes), to_datetime(now + 1))

    def scrape(*tenants: str) -> Question:
        return lambda _: scraped(client, tenants)

    def chart(tenant: str | None, minutes: int, step: int | None) -> Question:
        def ask(now: int) -> Any:
            return series.series(tenant, p95, Range.covering(to_datetime(now + 1 - minutes), to_datetime(now + 1), step))

        return ask

    return {
        "summary of 1 h, one tenant": summaries(TENANT, HOUR),
        "summary of 7 days, one tenant": summaries(TENANT, 7 * DAY),
        "summary of 90 days, one tenant": summaries(TENANT, 90 * DAY),
        f"summary of 1 h, {tenants} tenants": summaries(None, HOUR),
        f"summary of 24 h, {tenants} tenants": summaries(None, DAY),
        f"chart of 1 h by the minute, {tenants} tenants": chart(None, HOUR, 1),
        f"chart of 24 h by 5 minutes, {tenants} tenants": chart(None, DAY, 5),
        f"dashboard's points of 24 h, {tenants} tenants": lambda now: series.per_minute(
            None, to_datetime(now + 1 - DAY), to_datetime(now + 1)
        ),
        f"scrape of {tenants} tenants together": scrape(),
        "scrape of one tenant": scrape(TENANT),
        "chart of 7 days by the hour, one tenant": chart(TENANT, 7 * DAY, HOUR),
        "chart of 90 days by the day, one tenant": chart(TENANT, 90 * DAY, DAY),
    }


def scraped(client: Any, tenants: Sequence[str]) -> bytes:
    """What Prometheus is answered, token and text included; nobody has asked a moment ago."""
    from django.test import override_settings

    with override_settings(MONITORING_READ_CACHE_SECONDS=0.0):
        answer = client.get("/metrics", {"tenant": tenants}, secure=True)
    if answer.status_code != HTTPStatus.OK:
        raise SystemExit(f"the scrape failed: {answer.content!r}")
    content: bytes = answer.content
    return content


def _taken(ask: Question, minute: int) -> Taken:
    began, own = time.perf_counter(), time.process_time()
    ask(minute)
    return Taken((time.perf_counter() - began) * 1e3, (time.process_time() - own) * 1e3)


def _in_a_new_process(ask: Question, minute: int) -> float:
    """A forked process remembers nothing that was read."""
    from django.db import connection

    connection.close()
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_cold, args=(ask, minute, sender))
    process.start()
    taken: float = receiver.recv()
    process.join()
    return taken


def _cold(ask: Question, minute: int, sender: Connection) -> None:
    from django.db import connection

    from apps.monitoring.ingest.hotstore import HotStore

    connection.ensure_connection()
    HotStore.from_conf().ping()
    sender.send(_taken(ask, minute).wall)
