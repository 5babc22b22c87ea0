"""The thread behind the monitors of a process: takes events over from the callers, merges, logs and flushes."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from apps.monitoring import endings, logs
from apps.monitoring.conf import Conf, conf, is_first_complaint
from apps.monitoring.core.event import TEXTS, TYPE, Event, Failure, size_of_others
from apps.monitoring.ingest.buffer import Buffer
from apps.monitoring.ingest.flusher import FAILED, Flusher
from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.ingest.prices import PriceBook, read_list
from apps.monitoring.ingest.server import TIMEOUT_SECONDS
from apps.monitoring.ingest.waiting import Record
from apps.monitoring.logs.plain import spelled
from apps.monitoring.logs.redaction import MARGIN, MAX_SHORT

_log = logging.getLogger(__name__)

_AT_ONCE: Final = 1_000
"""Events merged at once: bounds the time that the buffer's lock is held."""
_SAMPLED: Final = 64
"""Of so many events that wait, the names, lists and mappings of one are measured and stand for all of theirs.

Nearly all are short, and to measure each would cost a caller a sixth more.
"""
_MERGE_SECONDS: Final = 0.1
"""How long an event waits to be merged."""
_EXIT_SECONDS: Final = 5.0
"""How long the end of the process waits for the last flush."""


class Recorder:
    """Hands events from callers to the buffer without I/O on the caller's thread; one a process.

    From `close` on it works as in direct mode: nobody may come later to flush what waits.
    """

    def __init__(self) -> None:
        settings = conf()
        logs.configure_from_settings()
        self._queue: deque[Event] = deque()
        self._queue_size = settings.queue_size
        self._half = self._queue_size // 2
        self._queue_bytes = settings.queue_bytes
        self._waiting_bytes = 0
        """As far as one can reckon without a lock: begun anew whenever the queue is emptied."""
        self._longest = max(settings.max_text, MAX_SHORT) + MARGIN
        self._interval = settings.flush_interval
        self._direct = settings.write_mode == "direct"
        self.buffer = Buffer(settings.label_cap, _price_book(settings), logs.redactor().redact)
        self.flusher = Flusher(self.buffer, HotStore.from_conf(), settings.max_pending_bytes)
        self._draining = threading.Lock()
        self._flushing = threading.Lock()
        self._inside = threading.local()
        self._wake = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def put(self, event: Event) -> None:
        """Take an event over. In direct mode it is in the hot store when this returns, if the hot store answers."""
        waiting = len(self._queue)
        size = self._lighten(event)
        if not waiting % _SAMPLED:
            size += _SAMPLED * size_of_others(event)
        self._waiting_bytes = reckoned = self._waiting_bytes + size
        if (waiting >= self._queue_size or reckoned > self._queue_bytes) and not self._is_inside():
            self._merge_own(event)
        else:
            self._queue.append(event)
        if self._direct:
            self._flush_once(_EXIT_SECONDS)
            if self._queue:  # put while that was under way
                self._flush_once(_EXIT_SECONDS)
        elif self._thread is None:
            self._start()
        elif waiting == self._half:  # earlier it would only stand in the way of the callers
            self._call()

    def _call(self) -> None:
        if not self._is_inside():  # an Event has a lock, too
            with self._marked():
                self._wake.set()

    def _merge_own(self, event: Event) -> None:
        """The merging thread does not keep up: the caller pays for its own event, and nothing is lost.

        What is recorded on this thread meanwhile goes into the queue, full or not: the buffer's lock is this thread's own.
        """
        with self._marked():
            self.flusher.counters["merged_by_caller"] += 1
            self.buffer.merge([event])
            logs.emit_many([event])

    def _lighten(self, event: Event) -> int:
        """Cut what the log would cut, and let go of what an exception holds; the bytes of the event's texts."""
        size = 0
        for place in TEXTS[event[TYPE]]:
            text = event[place]
            if text is None:
                continue
            if type(text) is not str:
                if not issubclass(type(text), BaseException):
                    continue
                message = spelled(text)[: self._longest]
                event[place] = Failure(type(text).__name__, message)
                text = message
            elif len(text) > self._longest:
                text = event[place] = text[: self._longest]
            size += len(text)
        return size

    def note(self, event: str, times: int) -> None:
        """Count what befell the monitoring in this process; it goes out with the next flush."""
        self.flusher.counters[event] += times
        self._awake()

    def _awake(self) -> None:
        """What befalls the monitoring goes out although nothing is put."""
        if self._thread is None and not self._direct:
            self._start()

    def apart(self, events: list[Event]) -> list[Record]:
        """What events of one shard come to, for whoever sends it by itself: no flush of this process has any of it.

        With all tenants together, and under the caps, prices and bounds of everything else that this process records.
        """
        self._awake()
        with self._marked():
            for event in events:
                self._lighten(event)
            slots = self.buffer.apart(events)
            return self.flusher.together.added((minute, tenant, slot) for (minute, tenant), slot in slots.items())

    def flush(self, timeout: float) -> bool:
        """Merge and send everything that was put so far; True when the hot store has confirmed it in time.

        After an attempt that was not answered, also one that was under way, another one begins only if it may end in time.
        """
        deadline, unanswered = time.monotonic() + timeout, self._unanswered()
        while True:
            if self._flush_once(max(0.0, deadline - time.monotonic())):
                return True
            left = deadline - time.monotonic()
            if left <= 0 or self._is_inside() or (left < TIMEOUT_SECONDS and self._unanswered() > unanswered):
                return False
            time.sleep(0.05)

    def close(self) -> None:
        """The process is about to end: what comes now is sent at once, and the merging thread sends what waits.

        Called in signal handlers, so it takes no lock, not even that of an Event.
        """
        self._direct = True

    def _start(self) -> None:
        # Nobody waits: whoever is at it may be this thread, which was interrupted and records something else.
        if not self._starting.acquire(blocking=False):
            return
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="agent-monitor", daemon=True)
                thread.start()
                self._thread = thread
        except RuntimeError:  # no thread is to be had: the next event tries again
            self.flusher.counters["thread_errors"] += 1
        finally:
            self._starting.release()

    def _run(self) -> None:
        next_flush = time.monotonic() + self._interval
        while _recorder is self:
            with self._marked():
                self._wake.wait(max(0.0, min(_MERGE_SECONDS, next_flush - time.monotonic())))
                self._wake.clear()
            try:
                self._drain(_EXIT_SECONDS)
                if self._direct or time.monotonic() >= next_flush:
                    self._send(_EXIT_SECONDS)
                    next_flush = self._after(next_flush)
            except BaseException:  # also SystemExit: an object that somebody recorded may raise it
                self.flusher.counters["thread_errors"] += 1
                _log.exception("the monitoring thread goes on after an error")

    def _after(self, flush: float) -> float:
        """When the flush after one is due: an interval after that one was, however long it took, or later after a failure."""
        now = time.monotonic()
        pause = self.flusher.pause()
        return max(now + pause if pause else now, flush + self._interval)

    def _flush_once(self, seconds: float) -> bool:
        return self._drain(seconds) and self._send(seconds)

    def _drain(self, seconds: float) -> bool:
        """Merge what was put before the call, also what another thread has taken from the queue and not merged yet."""
        with self._turn(self._draining, seconds) as mine:
            if not mine:
                return False
            for _ in range(len(self._queue) // _AT_ONCE + 1):
                events: list[Event] = []
                try:
                    while len(events) < _AT_ONCE:
                        events.append(self._queue.popleft())
                except IndexError:
                    self._waiting_bytes = 0
                self.buffer.merge(events)
                logs.emit_many(events, render=True)
            return True

    def _send(self, seconds: float) -> bool:
        unanswered = self._unanswered()
        with self._turn(self._flushing, seconds) as mine:
            # Whoever was at it has waited for the hot store, and this thread for it: that was its attempt.
            return mine and self._unanswered() == unanswered and self.flusher.flush()

    def _unanswered(self) -> int:
        """Flushes that the hot store did not answer in time."""
        return self.flusher.counters[f"{FAILED}timeout"]

    @contextmanager
    def _turn(self, lock: threading.Lock, seconds: float) -> Iterator[bool]:
        """Whether it is this thread's turn within ``seconds``.

        Never while it has one already: then an object that is being merged records something itself, or a signal came,
        and waiting would be for ever.
        """
        if self._is_inside():
            yield False
            return
        with self._marked():
            mine = lock.acquire(timeout=seconds)
            try:
                yield mine
            finally:
                if mine:
                    lock.release()

    @contextmanager
    def _marked(self) -> Iterator[None]:
        """While this thread has a lock, what it records besides is only put into the queue: it would wait for itself."""
        self._inside.it = True
        try:
            yield
        finally:
            self._inside.it = False

    def _is_inside(self) -> bool:
        return getattr(self._inside, "it", False)


def _price_book(settings: Conf) -> PriceBook | None:
    if settings.pricing == "off":
        return None
    try:
        return PriceBook(settings.prices or {})
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        if is_first_complaint("MONITORING_PRICES"):
            _log.exception("MONITORING_PRICES is left out, prices are those of genai-prices")
        return PriceBook({})


_lock = threading.RLock()
_recorder: Recorder | None = None


def recorder() -> Recorder:
    """The recorder of this process."""
    found = _recorder
    return _made() if found is None else found


def _made() -> Recorder:
    """The first one that is ready is the recorder of this process.

    It is made without a lock: to make it may log, and whoever hears of that may record, which makes another one.
    """
    global _recorder  # noqa: PLW0603 - one recorder a process, begun anew after a fork
    made = Recorder()
    with _lock:
        if _recorder is None:
            _recorder = made
        found = _recorder
    if found is made:
        endings.watch(end, close)
    return found


def get_ready() -> None:
    """Read what recording needs from disk, so that no call does later. Never raises."""
    try:
        if conf().pricing != "off":
            read_list()
    except Exception:
        _log.exception("the settings cannot be read")


def note(event: str, times: int = 1) -> None:
    """Count something that befell the monitoring itself, as the metric ``monitor_events``."""
    recorder().note(event, times)


def flush_now(timeout: float = 10.0) -> bool:
    """Flush what this process recorded; True when the hot store has confirmed all of it."""
    return _recorder is None or _recorder.flush(timeout)


def close() -> None:
    """From now on each event is sent before its call returns: the process is about to end."""
    if _recorder is not None:
        _recorder.close()


def end() -> None:
    """Send and log what was recorded; what is recorded after is sent at once. Takes some seconds at most."""
    close()
    if not flush_now(_EXIT_SECONDS):
        _log.error("the process ends with records that the hot store did not take")
    logs.drain()


def _begin_anew() -> None:
    """In a forked child: what the parent has not flushed is the parent's to flush, and its threads are not here."""
    global _recorder, _lock
    _recorder, _lock = None, threading.RLock()


os.register_at_fork(after_in_child=_begin_anew)
