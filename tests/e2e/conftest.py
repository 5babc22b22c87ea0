"""The browser, and the web process."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from config.embedded.process import free_port
from tests.browser import provision
from tests.e2e.parts import Parts, environment_of_tests
from tests.patience import eventually

# Playwright's synchronous API runs an event loop in this thread, which Django takes for an asynchronous caller.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    program = provision.find()
    assert program, "no Chromium: run python -m tests.browser.provision"
    return {
        **browser_type_launch_args,
        "executable_path": program,
        "args": [
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
        ],
    }


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[int, Parts]]:
    """Of the Procfile, and the port that it listens on."""
    port = free_port()
    with Parts(environment_of_tests(PORT=str(port)), tmp_path) as parts:
        parts.start("web")
        eventually("the web process listens", lambda: is_open(port), 40, parts.told)
        yield port, parts


def is_open(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0
