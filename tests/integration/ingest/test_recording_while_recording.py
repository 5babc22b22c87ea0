"""What records while its own thread is recording: a label that is looked at, a signal, a log handler, what is let go of."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from apps.monitoring import AgentMonitor, get_agent_monitor
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore
from tests.integration.ingest.hot import everything, fields

PATIENCE_SECONDS = 5.0
REQUESTS = 20


@pytest.fixture
def store(valkey: redis.Redis, settings: Any) -> Iterator[HotStore]:
    settings.MONITORING_QUEUE_SIZE = 1
    settings.MONITORING_LOG_PATH = ""  # else the line looks at the label, too
    recorder.flush_now(5)
    valkey.flushall()
    recorder._begin_anew()
    yield HotStore.from_conf()
    recorder._begin_anew()


@contextmanager
def full_queue(monitor: AgentMonitor) -> Iterator[None]:
    """The merging thread does not keep up, so each caller merges its own."""
    with recorder.recorder()._draining:
        monitor.count("first")
        yield


def ends(call: Callable[[], object]) -> bool:
    """Whether a call comes back, on a thread that may be left behind."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE_SECONDS)
    return not thread.is_alive()


def count_of(store: HotStore, name: str) -> int:
    return fields(everything(store), "acme")[f"u{name}:n"]


class Speaks:
    """A label whose text is made by code that records itself, and waits for what it has recorded."""

    def __init__(self, monitor: AgentMonitor) -> None:
        self.monitor = monitor

    def __str__(self) -> str:
        self.monitor.count("spoken")
        assert not recorder.flush_now(1)
        return "gpt"


def test_a_label_that_records_while_its_caller_merges_holds_nobody_up_and_everything_counts_once(store: HotStore) -> None:
    monitor = get_agent_monitor("acme")
    with full_queue(monitor):
        assert ends(lambda: monitor.count("outer", model=Speaks(monitor)))
    for number in range(REQUESTS):
        assert ends(lambda: get_agent_monitor("acme").count("later")), f"request {number} hangs"
    assert recorder.flush_now(10)
    counts = {name: count_of(store, name) for name in ("first", "spoken", "later")}
    assert counts == {"first": 1, "spoken": 1, "later": REQUESTS}
    assert fields(everything(store), "acme")['uouter\x1f{"model":"gpt"}:n'] == 1


def test_a_signal_that_records_while_its_thread_merges_holds_nobody_up(store: HotStore) -> None:
    monitor, said = get_agent_monitor("acme"), list[str]()

    class Interrupted:
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGALRM)
            return "gpt"

    def on_signal(*_: object) -> None:
        if said:
            raise AssertionError("the handler hangs")
        said.append("began")
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
        monitor.count("told")
        signal.setitimer(signal.ITIMER_REAL, 0)

    before = signal.signal(signal.SIGALRM, on_signal)
    try:
        with full_queue(monitor):
            monitor.count("outer", model=Interrupted())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert recorder.flush_now(10)
    assert count_of(store, "told") == 1


def test_a_stream_that_is_let_go_of_while_its_thread_merges_holds_nobody_up(store: HotStore) -> None:
    monitor = get_agent_monitor("acme")

    class LetsGo:
        def __init__(self) -> None:
            self.stream = monitor.llm_call(provider="openai", model="gpt-4o")(lambda: iter([1, 2]))()
            next(self.stream)

        def __str__(self) -> str:
            del self.stream
            return "gpt"

    with full_queue(monitor):
        assert ends(lambda: monitor.count("outer", model=LetsGo()))
    assert recorder.flush_now(10)
    assert fields(everything(store), "acme")["l\x1fopenai:n"] == 1


def test_what_is_recorded_while_the_thread_is_started_holds_nobody_up(
    store: HotStore, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MONITORING_QUEUE_SIZE = 1_000
    recorder._begin_anew()
    monitor, start = get_agent_monitor("acme"), threading.Thread.start

    def interrupted(thread: threading.Thread) -> None:
        if thread.name == "agent-monitor":
            monitor.count("meanwhile")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    assert ends(lambda: monitor.count("first"))
    assert recorder.flush_now(10)
    assert (count_of(store, "first"), count_of(store, "meanwhile")) == (1, 1)


class ToTheMonitor(logging.Handler):
    """As of a site that counts its errors."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())
        get_agent_monitor("acme").count("logged")


@pytest.mark.parametrize(
    ("setting", "wrong"), [("MONITORING_PRICES", {"m": {"input": -1, "output": 1}}), ("MONITORING_LOG_FORMAT", "none such")]
)
def test_a_log_handler_that_records_what_is_wrong_with_the_settings_holds_no_first_call_up(
    store: HotStore, settings: Any, setting: str, wrong: object
) -> None:
    settings.MONITORING_QUEUE_SIZE = 1_000
    setattr(settings, setting, wrong)
    recorder._begin_anew()
    handler, logger = ToTheMonitor(), logging.getLogger("apps")
    logger.addHandler(handler)
    try:
        assert ends(lambda: get_agent_monitor("acme").count("first"))
    finally:
        logger.removeHandler(handler)
    assert len(handler.told) == 1
    assert recorder.flush_now(10)
    assert (count_of(store, "first"), count_of(store, "logged")) == (1, 1)


def test_threads_that_make_the_recorder_at_once_share_one_and_everything_counts(store: HotStore) -> None:
    together = threading.Barrier(8)

    def work() -> None:
        together.wait()
        get_agent_monitor("acme").count("first")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert recorder.flush_now(10)
    assert count_of(store, "first") == 8


def test_from_the_end_on_a_caller_that_merges_its_own_sends_it_too(store: HotStore) -> None:
    monitor = get_agent_monitor("acme")
    monitor.count("first")
    assert recorder.flush_now(10)
    recorder.close()
    recorder.recorder()._queue_size = 0
    monitor.count("last")
    assert recorder.recorder().flusher.counters["merged_by_caller"] == 1
    assert count_of(store, "last") == 1
