"""What every test may use: real servers, the recorded data, processes of the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings

from tests.servers import plugin
from tests.servers.throwaway import Servers

# A machine that is busy is not an error.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def servers() -> Servers:
    return plugin.servers


@pytest.fixture(scope="session")
def redis_url(servers: Servers) -> str:
    return servers.hot_store


@pytest.fixture(scope="session")
def postgres_url(servers: Servers) -> str:
    return servers.postgres.url


@pytest.fixture
def valkey(servers: Servers) -> Iterator[redis.Redis]:
    """The library's client of an empty hot store."""
    client: Any = (
        servers.cluster.client() if servers.cluster else redis.Redis.from_url(servers.hot_store, decode_responses=True)
    )
    client.flushall()
    yield client
    client.flushall()
    client.close()


@pytest.fixture
def forget_caches() -> Iterator[None]:
    """What a process remembers of one database does not hold for the next."""
    from apps.monitoring.rollup import batches, partitions

    batches.forget()
    partitions.forget()
    yield
    batches.forget()
    partitions.forget()


@pytest.fixture
def stores(transactional_db: None, valkey: redis.Redis, forget_caches: None) -> Iterator[None]:
    """Empty stores for a test that commits: hot store, snapshots, and a recorder that begins anew."""
    from apps.monitoring.ingest import recorder

    recorder.flush_now(5.0)
    valkey.flushall()
    recorder._begin_anew()
    yield
    recorder.flush_now(5.0)
    recorder._begin_anew()


@pytest.fixture(scope="session")
def recordings() -> Path:
    """The recorded data beside the checkout; tests that need it are skipped, loudly, where it is not."""
    if not DATA.exists():
        pytest.skip("the recorded data is not at ../shared/data beside the checkout")
    return DATA
