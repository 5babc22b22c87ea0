"""What the code counts about itself, what the catalogue says of it, and what the page for users says are the same."""

from __future__ import annotations

import re
from pathlib import Path

from apps.monitoring.catalogue import LOSSES, MONITOR_EVENTS
from apps.monitoring.core.event import Event
from apps.monitoring.ingest.failure import REASONS
from apps.monitoring.ingest.flusher import FAILED
from apps.monitoring.logs.sink import Sink
from apps.monitoring.logs.writer import LogWriter
from apps.monitoring.rollup.invariants import MISMATCHES

ROOT = Path(__file__).parents[2]
NOTED = re.compile(r"""(?:\bnote\(|\bcounters\[|\bcounted_as(?:: str = |=))"([a-z_]+)\"""")


def nothing(_: Event) -> bytes:
    return b""


def test_every_event_that_the_code_counts_is_in_the_catalogue_and_no_other() -> None:
    noted = {name for path in ROOT.glob("apps/**/*.py") for name in NOTED.findall(path.read_text())}
    failed = {f"{FAILED}{reason}" for reason in REASONS}
    lines = LogWriter(Sink("-"), nothing).counters().keys() - {"log_lines"}
    assert noted | failed | lines | {MISMATCHES} == MONITOR_EVENTS.keys()


def test_the_page_for_users_has_the_events_and_their_meanings() -> None:
    rows = re.findall(r"^\| (\**)`([a-z_]+)`\** \| (.+) \|$", (ROOT / "docs/recording.md").read_text(), re.MULTILINE)
    assert {name: meaning for _, name, meaning in rows if name in MONITOR_EVENTS} == MONITOR_EVENTS
    assert {name for bold, name, _ in rows if bold} == LOSSES
