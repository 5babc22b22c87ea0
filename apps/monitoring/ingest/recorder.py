"""The thread behind the monitors of a process: takes events over from the callers, merges, logs and flushes."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from typing import Final

from apps.monitoring import logs
from apps.monitoring.conf import Conf, conf
from apps.monitoring.ingest.buffer import Buffer, Event
from apps.monitoring.ingest.flusher import Flusher
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.prices import PriceBook

_log = logging.getLogger(__name__)

_WAKE_AT: Final = 2_000
"""Events waiting before the merging thread is woken early."""
_AT_ONCE: Final = 1_000
"""Events merged at once: bounds the time that the buffer's lock is held."""
_EXIT_SECONDS: Final = 5.0
"""How long the end of the process waits for the last flush."""


class Recorder:
    """Hands events from callers to the buffer without I/O on the caller's thread; one a process."""

    def __init__(self) -> None:
        settings = conf()
        logs.configure_from_settings()
        self._queue: deque[Event] = deque()
        self._queue_size = settings.queue_size
        self._interval = settings.flush_interval
        self._direct = settings.write_mode == "direct"
        self.buffer = Buffer(settings.label_cap, _price_book(settings))
        self.flusher = Flusher(self.buffer, HotStore.from_conf(), settings.max_pending_series)
        self._draining = threading.Lock()
        self._wake = threading.Event()
        self._started = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, event: Event) -> None:
        """Take an event over. In direct mode it is in the hot store when this returns, if the hot store answers."""
        if self._direct:
            self._merge([event])
            self.flusher.flush()
            return
        waiting = len(self._queue)
        if waiting >= self._queue_size:
            # The merging thread does not keep up: the caller pays for its own event, and nothing is lost.
            self.flusher.counters["merged_by_caller"] += 1
            self._merge([event])
            return
        self._queue.append(event)
        if self._thread is None:
            self._start()
        elif waiting == _WAKE_AT:
            self._wake.set()

    def note(self, event: str, times: int) -> None:
        """Count what befell the monitoring in this process; it goes out with the next flush."""
        self.flusher.counters[event] += times
        if self._thread is None and not self._direct:
            self._start()

    def flush(self, timeout: float) -> bool:
        """Merge and send everything that was put so far; True when the hot store has confirmed it in time."""
        deadline = time.monotonic() + timeout
        while True:
            self._drain()
            if self.flusher.flush():
                return True
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)

    def _start(self) -> None:
        with self._started:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agent-monitor", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        next_flush = time.monotonic() + self._interval
        while True:
            self._wake.wait(min(0.1, self._interval))
            self._wake.clear()
            try:
                self._drain()
                if time.monotonic() >= next_flush:
                    self.flusher.flush()
                    next_flush = time.monotonic() + self._interval
            except Exception:
                self.flusher.counters["thread_errors"] += 1
                _log.exception("the monitoring thread goes on after an error")

    def _drain(self) -> None:
        """Merge what was put before the call, also what another thread has taken from the queue and not merged yet."""
        with self._draining:
            for _ in range(len(self._queue) // _AT_ONCE + 1):
                events: list[Event] = []
                try:
                    while len(events) < _AT_ONCE:
                        events.append(self._queue.popleft())
                except IndexError:
                    pass
                self._merge(events)

    def _merge(self, events: list[Event]) -> None:
        self.buffer.merge(events)
        logs.emit_many(events)


def _price_book(settings: Conf) -> PriceBook | None:
    if settings.pricing == "off":
        return None
    try:
        return PriceBook(settings.prices or {})
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        _log.exception("MONITORING_PRICES is left out, prices are those of genai-prices")
        return PriceBook({})


_lock = threading.Lock()
_recorder: Recorder | None = None


def recorder() -> Recorder:
    """The recorder of this process."""
    global _recorder  # noqa: PLW0603 - one recorder a process, begun anew after a fork
    found = _recorder
    if found is None:
        with _lock:
            found = _recorder
            if found is None:
                found = _recorder = Recorder()
    return found


def note(event: str, times: int = 1) -> None:
    """Count something that befell the monitoring itself, as the metric ``monitor_events``."""
    recorder().note(event, times)


def flush_now(timeout: float = 10.0) -> bool:
    """Flush what this process recorded; True when the hot store has confirmed all of it."""
    return _recorder is None or _recorder.flush(timeout)


def _begin_anew() -> None:
    """In a forked child: what the parent has not flushed is the parent's to flush, and its threads are not here."""
    global _recorder, _lock
    _recorder, _lock = None, threading.Lock()


def _at_exit() -> None:
    if not flush_now(_EXIT_SECONDS):
        _log.error("the process ends with records that the hot store did not take")


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_at_exit)
