from __future__ import annotations

import pytest
import redis

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.server import server


@pytest.fixture
def store(valkey: redis.Redis, redis_url: str) -> HotStore:
    return HotStore(server(redis_url), "tests", shards=4)
