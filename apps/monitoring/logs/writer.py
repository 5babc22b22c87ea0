"""Writes lines on a thread of its own: whoever hands an event over is never blocked."""

from __future__ import annotations

import errno
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from apps.monitoring.core.event import Event, size
from apps.monitoring.logs.sink import Sink

_log = logging.getLogger(__name__)

QUEUE_SIZE: Final = 20_000
QUEUE_BYTES: Final = 64_000_000
_CHUNK: Final = 32_768
"""Bytes of lines that are joined where they are made: the writing thread, on another processor, touches one piece."""
_READY: Final = 32
"""Chunks made ahead of the writing."""
_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_PATIENCE_SECONDS: Final = 1.0
"""How long one turn waits for a reader that does not read."""
_GONE: Final = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN})
"""Nobody will ever read these lines; any other error (a full disk, a missing folder) is waited out."""


class LogWriter:
    """A queue, bounded by lines and by the length of their texts, and the thread that empties it.

    When the queue is full the line is dropped and counted. ``own_thread=False`` leaves the writing to whoever calls
    `run_once`. After a fork the child begins with an empty queue: what waits is the parent's to write.
    """

    def __init__(
        self,
        sink: Sink,
        render: Callable[[Event], bytes],
        *,
        queue_size: int = QUEUE_SIZE,
        queue_bytes: int = QUEUE_BYTES,
        own_thread: bool = True,
    ) -> None:
        self._sink = sink
        self._render = render
        self._size = queue_size
        self._bytes = queue_bytes
        self._own_thread = own_thread
        self._begin()
        _writers.add(self)

    def _begin(self) -> None:
        self._queue: deque[Event] = deque()
        self._sizes: deque[int] = deque()
        """Of the events in the queue, in their order."""
        self._taken = self._given = 0
        """Bytes of events that were put, and that were taken to be rendered: what waits is the difference."""
        self._ready: deque[bytes] = deque()
        """Chunks of lines."""
        self._rendering = threading.Lock()
        """Held by whoever takes events from the queue and puts lines to the ready ones, so that they stay in order."""
        self._pending: deque[bytes] = deque()
        """Being written."""
        self._turn = threading.Lock()
        self._in_turn = False
        self._counting = threading.RLock()
        self._starting = threading.RLock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._dropped = self._failed = self._retried = 0
        self._pause = _PAUSE_SECONDS

    def put(self, events: Sequence[Event]) -> None:
        """Take events over: no I/O, no formatting."""
        with self._counting:  # never held across I/O
            sizes = [size(event) for event in events]
            if len(self._queue) + len(events) > self._size or self._taken - self._given + sum(sizes) > self._bytes:
                events, sizes = self._fitting(events, sizes)
            self._sizes.extend(sizes)  # first: who takes an event takes its size, too
            self._queue.extend(events)
            self._taken += sum(sizes)
        self._call()

    def render(self) -> None:
        """Make lines of what waits, here: the thread that has just merged the events has them in its processor's cache.

        Leaves it to the writing thread when that is at it already.
        """
        if self._rendering.acquire(blocking=False):
            try:
                self._render_waiting()
            finally:
                self._rendering.release()
        self._call()

    def _call(self) -> None:
        """Somebody waits for the writing thread, which looks for more before it rests, or pauses because a write failed."""
        if not self._pending:
            self._wake.set()
        if self._thread is None and self._own_thread:
            self._start()

    def _fitting(self, events: Sequence[Event], sizes: Sequence[int]) -> tuple[list[Event], list[int]]:
        left, places = self._bytes - (self._taken - self._given), self._size - len(self._queue)
        kept: list[Event] = []
        lengths: list[int] = []
        for event, long in zip(events, sizes, strict=True):
            if len(kept) < places and long <= left:
                kept.append(event)
                lengths.append(long)
                left -= long
        self._dropped += len(events) - len(kept)
        return kept, lengths

    def run_once(self, patience: float = _PATIENCE_SECONDS) -> int:
        """Write what is ready, waiting ``patience`` seconds for a reader; how many lines were. Never raises."""
        with self._turn:
            self._in_turn = True
            try:
                return self._take_turn(patience)
            finally:
                self._in_turn = False

    def drain(self, timeout: float) -> bool:
        """Write what was put before; True when all of it is written in time."""
        deadline = time.monotonic() + timeout
        while not self._settled():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            if self._thread is not None and self._thread.is_alive():
                self._wake.set()
                time.sleep(min(0.01, left))
            elif self.run_once(patience=left) == 0:
                time.sleep(min(0.02, left))
        return True

    def close(self, timeout: float) -> bool:
        """Drain and end the thread; a line put later is never written."""
        drained = self.drain(timeout)
        self._closed = True
        self._wake.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
        if drained:
            self._sink.close()
        else:
            self._failed += len(self._queue) + self._sink.give_up(self._pending) + self._sink.give_up(self._ready)
        return drained

    def counters(self) -> dict[str, int]:
        """Lines written, dropped because the queue was full, failed for good, and writes that were tried again."""
        return {
            "log_lines": self._sink.lines,
            "log_lines_dropped": self._dropped,
            "log_lines_failed": self._failed,
            "log_writes_retried": self._retried,
        }

    def begin_anew(self) -> None:
        """In a forked child: the locks, the thread and what waits are the parent's."""
        self._begin()
        self._sink.begin_anew()

    def _take_turn(self, patience: float) -> int:
        if not self._pending:
            self._take_ready()
        if not self._pending:
            return 0
        before = self._sink.lines
        error = self._write(patience)
        written = self._sink.lines - before
        if error is None:
            self._pause = _PAUSE_SECONDS
        else:
            self._note(error)
        return written

    def _write(self, patience: float) -> Exception | None:
        try:
            self._sink.write(self._pending, time.monotonic() + patience)
        except Exception as error:  # whatever it is, the thread goes on and the lines are counted
            return error
        return None

    def _take_ready(self) -> None:
        if not self._ready and self._rendering.acquire(timeout=_PAUSE_SECONDS):
            try:
                self._render_waiting()
            finally:
                self._rendering.release()
        while self._ready:
            self._pending.append(self._ready.popleft())

    def _render_waiting(self) -> None:
        while self._queue and len(self._ready) < _READY:
            lines: list[bytes] = []
            try:
                self._render_chunk(lines)
            finally:
                if lines:
                    self._ready.append(b"".join(lines))

    def _render_chunk(self, lines: list[bytes]) -> None:
        queue, sizes, render, length = self._queue, self._sizes, self._render, 0
        while queue and length < _CHUNK:
            try:
                event = queue.popleft()
                self._given += sizes.popleft()
                line = render(event)
            except BaseException as error:  # foreign objects may raise anything when they are looked at
                self._failed += 1
                if not isinstance(error, Exception) and threading.current_thread() is threading.main_thread():
                    raise  # a signal
            else:
                lines.append(line)
                length += len(line)

    def _note(self, error: Exception) -> None:
        self._retried += 1
        if self._pause == _PAUSE_SECONDS:
            _log.warning("log lines cannot be written to %s: %s", self._sink.path, error)
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)
        if not isinstance(error, OSError) or error.errno in _GONE:
            self._give_up(error)
        elif not isinstance(error, TimeoutError):
            self._sink.close()

    def _give_up(self, error: Exception) -> None:
        if not self._failed:
            _log.error("log lines are lost, %s does not take them: %s", self._sink.path, error)
        self._failed += self._sink.give_up(self._pending)
        self._sink.close()

    def _settled(self) -> bool:
        return not (self._queue or self._ready or self._pending or self._in_turn or self._rendering.locked())

    def _start(self) -> None:
        with self._starting:
            if self._thread is not None or self._closed:
                return
            thread = threading.Thread(target=self._run, name="agent-monitor-log", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # the interpreter is ending: `drain` writes
                return
            self._thread = thread

    def _run(self) -> None:
        while not self._closed:
            # What could not be written is tried again; otherwise there is nothing to do before `put` says so.
            self._wake.wait(self._pause if self._pending else None)
            self._wake.clear()
            self.run_once()
            while (self._queue or self._ready) and not self._pending:
                self.run_once()


_writers: weakref.WeakSet[LogWriter] = weakref.WeakSet()


def _begin_anew() -> None:
    for writer in list(_writers):
        writer.begin_anew()


os.register_at_fork(after_in_child=_begin_anew)
