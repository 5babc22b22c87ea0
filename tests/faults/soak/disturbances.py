"""What is done to a site, one after the other, drawn at random."""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.faults.soak.site import BEATS, WORKERS, WRITERS, Site

Disturbance = Callable[[Site, random.Random], None]


def worker_killed(site: Site, chance: random.Random) -> None:
    name = chance.choice(WORKERS)
    site.kill(name)
    site.start(name)


def worker_killed_without_its_pool(site: Site, chance: random.Random) -> None:
    site.kill_parent(chance.choice(WORKERS))


def pool_of_a_worker_killed(site: Site, chance: random.Random) -> None:
    site.kill_child(chance.choice(WORKERS))


def writer_killed(site: Site, chance: random.Random) -> None:
    name = chance.choice(WRITERS)
    site.kill(name)
    site.start(name)


def writer_asked_to_end(site: Site, chance: random.Random) -> None:
    name = chance.choice(WRITERS)
    site.ask_to_end(name)
    site.start(name)


def beat_killed(site: Site, chance: random.Random) -> None:
    name = chance.choice(BEATS)
    site.kill(name)
    site.start(name)


def valkey_killed(site: Site, chance: random.Random) -> None:
    site.kill_valkey(chance.uniform(0, 0.5))


def valkey_restarted(site: Site, chance: random.Random) -> None:
    site.stop_valkey(chance.uniform(0, 0.5))


def valkey_connections_cut(site: Site, chance: random.Random) -> None:
    site.cut_valkey()


def postgres_stopped_immediately(site: Site, chance: random.Random) -> None:
    site.stop_postgres_immediately(chance.uniform(0, 0.5))


def postgres_killed(site: Site, chance: random.Random) -> None:
    site.kill_postgres(chance.uniform(0, 0.5))


def postgres_connections_cut(site: Site, chance: random.Random) -> None:
    site.cut_postgres()


WEIGHTS: dict[Disturbance, int] = {
    worker_killed: 32,
    pool_of_a_worker_killed: 16,
    worker_killed_without_its_pool: 4,
    writer_killed: 16,
    writer_asked_to_end: 2,
    beat_killed: 6,
    valkey_killed: 8,
    valkey_restarted: 1,
    valkey_connections_cut: 4,
    postgres_stopped_immediately: 5,
    postgres_killed: 2,
    postgres_connections_cut: 4,
}


def drawn(chance: random.Random, count: int) -> list[Disturbance]:
    """So many in any order, each kind at least once when there is room."""
    kinds = list(WEIGHTS)[:count]
    plan = kinds + chance.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count - len(kinds))
    chance.shuffle(plan)
    return plan
