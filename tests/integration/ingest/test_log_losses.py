"""Log lines that are lost are a metric of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from apps.monitoring import get_agent_monitor, logs
from apps.monitoring.core.series import GLOBAL
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import everything, fields


@pytest.fixture
def begin(valkey: redis.Redis, settings: Any) -> Iterator[None]:
    recorder.flush_now(5)
    valkey.flushall()
    recorder._begin_anew()
    yield
    logs.configure(path="")
    recorder.flush_now(5)
    recorder._begin_anew()


def lost(event: str) -> int:
    recorder.flush_now(10)
    recorder.flush_now(10)  # what the first one's merging lost is told by the second
    return fields(everything(HotStore.from_conf()), GLOBAL)[f"me\x1f{event}:n"]


def test_lines_that_no_reader_takes_are_dropped_and_counted_once(
    begin: None, valkey: redis.Redis, settings: Any, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    settings.MONITORING_LOG_PATH = str(tmp_path / "pipe")
    settings.MONITORING_LOG_QUEUE_SIZE = 100
    before = logs.counters()["log_lines_dropped"]
    for _ in range(5_000):
        get_agent_monitor("acme").log_and_record_error("crm", "x" * 500)
    counted = lost("log_lines_dropped")
    os.close(reader)
    assert counted == logs.counters()["log_lines_dropped"] - before > 0
    valkey.flushall()
    recorder._begin_anew()
    get_agent_monitor("acme").log_and_record_error("crm", "one line")
    assert lost("log_lines_dropped") == 0, "a recorder tells what was lost before it began"


def test_settings_that_cannot_work_cost_texts_and_not_metrics(begin: None, settings: Any, tmp_path: Path) -> None:
    path = tmp_path / "agent.log"
    settings.MONITORING_LOG_PATH = str(path)
    settings.MONITORING_REDACTION_PATTERNS = ["("]
    get_agent_monitor("acme").log_and_record_knowledge_search(query="my name is Mia")
    recorder.flush_now(10)
    assert logs.drain(20)
    assert '"knowledge_search"' in path.read_text()
    assert "Mia" not in path.read_text()
    assert fields(everything(HotStore.from_conf()), "acme")["k:n"] == 1
