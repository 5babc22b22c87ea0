"""A process that is killed in the middle of a batch: sent again, to another process, it counts once."""

from __future__ import annotations

import json
import signal
import time

import pytest

from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.interactions import batch, ingestion
from apps.monitoring.interactions.sender import Sender
from tests.faults.script import SETUP, start
from tests.integration.ingest.hot import everything, fields

pytestmark = pytest.mark.usefixtures("stores")

LINES = 1_000
CONTENT = json.dumps(
    [{"tenant": f"tenant-{n % 9}", "conversation_id": f"c-{n}", "agent_response": "yes"} for n in range(LINES)]
)
DYING = """
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.interactions import batch, ingestion
from apps.monitoring.interactions.sender import Sender
left = {left}
apply = HotStore.apply
def dying(store, *arguments):
    global left
    left -= 1
    if left < 0 and {before}:
        os.kill(os.getpid(), signal.SIGKILL)
    answer = apply(store, *arguments)
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return answer
HotStore.apply = dying
ingestion.ingest(batch.of_json({content!r}.encode()), Sender("a token", ""), "a-key", time.time())
"""


def recorded() -> int:
    return fields(everything(HotStore.from_conf()), GLOBAL)["i:n"]


@pytest.mark.parametrize(("left", "when"), [(0, "before"), (0, "after"), (2, "before"), (2, "after"), (4, "after")])
def test_what_was_not_there_yet_is_added_and_what_was_is_not(left: int, when: str) -> None:
    process = start(DYING.format(left=left, before=when == "before", content=CONTENT), SETUP)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, errors
    there = left + (when == "after")
    assert recorded() == there * ingestion.CHUNK
    outcome = ingestion.ingest(batch.of_json(CONTENT.encode()), Sender("a token", ""), "a-key", time.time())
    assert (outcome.accepted, outcome.repeated) == (LINES, there == LINES // ingestion.CHUNK)
    assert recorded() == LINES
