"""Loaded by pytest before anything else (`-p tests.servers.plugin`): the settings read the environment when they are imported."""

from __future__ import annotations

import os

from tests.servers.throwaway import Servers

servers = Servers.start()
os.environ.update(servers.environment())


def pytest_unconfigure() -> None:
    servers.stop()
