"""The broker's address follows from the hot store's."""

from __future__ import annotations

import pytest

from config.addresses import broker_beside


@pytest.mark.parametrize(
    ("hot_store", "broker"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/1"),
        ("redis://cache:6379", "redis://cache:6379/1"),
        ("redis://:p%2Fw@cache", "redis://:p%2Fw@cache/1"),
        ("rediss://user:pw@cache:6380/4?ssl_cert_reqs=none", "rediss://user:pw@cache:6380/1?ssl_cert_reqs=none"),
        ("unix:///run/valkey.sock?db=0", "redis+socket:///run/valkey.sock?virtual_host=1"),
        ("unix://:pw@/run/valkey.sock", "redis+socket://:pw@/run/valkey.sock?virtual_host=1"),
        ("unix:///run/valkey.sock?password=p/w", "redis+socket://:p%2Fw@/run/valkey.sock?virtual_host=1"),
    ],
)
def test_the_broker_is_database_1_of_the_same_server(hot_store: str, broker: str) -> None:
    assert broker_beside(hot_store) == broker
