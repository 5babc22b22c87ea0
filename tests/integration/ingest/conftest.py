from __future__ import annotations

import pytest
import redis

from apps.monitoring.ingest.hotstore import HotStore


@pytest.fixture
def store(valkey: redis.Redis) -> HotStore:
    return HotStore(valkey, "tests", shards=4)
