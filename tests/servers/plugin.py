"""Loaded by pytest before anything else (`-p tests.servers.plugin`): the settings read the environment when they are imported."""

from __future__ import annotations

import os

from tests.servers.throwaway import Servers

servers = Servers.start(cluster=os.environ.get("HOT_STORE") == "cluster")
os.environ.update(servers.environment())
# A test sees what it did a moment ago; the cache has tests of its own.
os.environ["MONITORING_READ_CACHE_SECONDS"] = "0"


def pytest_unconfigure() -> None:
    # What the tests recorded need not be sent when the process ends, and nobody is there to take it.
    from apps.monitoring.ingest import recorder

    recorder._begin_anew()
    servers.stop()
