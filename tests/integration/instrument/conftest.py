"""A monitor, the hot store that it records into, and a provider of models that answers as the real ones do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import redis

from apps.monitoring import AgentMonitor
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import everything, fields
from tests.integration.instrument.provider import serving


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as found:
        yield found


@pytest.fixture
def monitor() -> AgentMonitor:
    return AgentMonitor("acme")


@pytest.fixture
def store(valkey: redis.Redis) -> Iterator[HotStore]:
    recorder.flush_now(5)
    valkey.flushall()
    recorder._begin_anew()
    yield HotStore.from_conf()
    recorder.flush_now(5)
    recorder._begin_anew()


@pytest.fixture
def recorded(store: HotStore) -> Callable[[], Counter[str]]:
    def read() -> Counter[str]:
        assert recorder.flush_now(10)
        return fields(everything(store), "acme")

    return read
