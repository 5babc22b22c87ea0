"""Waiting for what happens in another thread, process or server."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def eventually(what: str, check: Callable[[], Any], seconds: float = 30.0, explain: Callable[[], str] = str) -> Any:
    """Ask until the answer is true, and return it; fails with the explanation at the deadline."""
    deadline = time.monotonic() + seconds
    while not (answer := check()):
        assert time.monotonic() < deadline, f"not within {seconds:.0f} s: {what}\n{explain()}"
        time.sleep(0.02)
    return answer
