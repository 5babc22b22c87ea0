"""An hour without the hot store, in a process of its own: memory is bounded, and what was dropped is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

HOUR = (
    "import json, logging, django\n"
    "django.setup(); logging.disable(logging.CRITICAL)\n"
    "from tests.bench.outage import hour\n"
    "print(json.dumps(hour({bound}, minutes=60, a_minute={a_minute})))"
)


@pytest.mark.parametrize(("a_minute", "bound", "dropped"), [(1_200, 250_000_000, None), (2_400, 8_000_000, "some")])
def test_an_hour_without_it_stays_under_its_bound(a_minute: int, bound: int, dropped: object) -> None:
    script = HOUR.format(bound=bound, a_minute=a_minute)
    environment = {**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert bool(found["minutes_dropped"]) is bool(dropped)
    # With what the process remembers of 1,000 tenants, and the minutes that are still open.
    assert found["memory_mb"] < 90
