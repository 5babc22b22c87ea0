"""Writes lines on a thread of its own: the caller hands a tuple over and is never blocked."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import IO, Any, Final

from apps.monitoring.conf import conf
from apps.monitoring.logs import line
from apps.monitoring.logs.format import FORMATS
from apps.monitoring.logs.redaction import Redactor

_log = logging.getLogger(__name__)

_QUEUE: Final = 20_000
_BATCH: Final = 500
_PAUSE_SECONDS: Final = 0.1
_EXIT_SECONDS: Final = 3.0

Item = tuple[str, float, str, Mapping[str, Any]]
"""Kind of event, when (epoch seconds), tenant, arguments."""


class Writer:
    """A bounded queue and the thread that empties it. When it is full the line is dropped and counted."""

    def __init__(self, path: str, log_format: str, content_mode: str) -> None:
        self._queue: deque[Item] = deque()
        self._path = path
        self._format = FORMATS[log_format]
        self._redactor = Redactor.make(content_mode)
        self._stream: IO[bytes] | None = None
        self._io = threading.Lock()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None
        self.counters: Counter[str] = Counter()

    def put(self, item: Item) -> None:
        """Take a line over: no I/O, no formatting."""
        if len(self._queue) >= _QUEUE:
            self.counters["log_lines_dropped"] += 1
            return
        self._queue.append(item)
        if self._thread is None:
            self._start()

    def drain(self, timeout: float) -> bool:
        """Write what waits; True when nothing is left in time."""
        deadline = time.monotonic() + timeout
        while self._queue and time.monotonic() < deadline:
            self._write_batch()
        return not self._queue

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="agent-monitor-log", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._write_batch()
            if not self._queue:
                time.sleep(_PAUSE_SECONDS)

    def _write_batch(self) -> None:
        with self._io:
            lines: list[bytes] = []
            while self._queue and len(lines) < _BATCH:
                try:
                    lines.append(self._render(self._queue.popleft()))
                except Exception:  # foreign objects may raise anything when they are looked at
                    self.counters["log_lines_unreadable"] += 1
            if not lines:
                return
            try:
                stream = self._stream or self._open()
                stream.write(b"\n".join(lines) + b"\n")
                stream.flush()
                self.counters["log_lines"] += len(lines)
            except (OSError, ValueError) as error:
                self._lose(len(lines), error)

    def _render(self, item: Item) -> bytes:
        kind, when, tenant, arguments = item
        return self._format(line.fields(kind, when, tenant, arguments, self._redactor))

    def _open(self) -> IO[bytes]:
        self._stream = sys.stdout.buffer if self._path == "-" else open(self._path, "ab")  # noqa: PTH123, SIM115 - /dev/stderr and pipes too
        return self._stream

    def _lose(self, lines: int, error: Exception) -> None:
        """A full disk or a closed pipe: these lines are gone and counted; the next batch opens the file anew."""
        if not self.counters["log_lines_dropped"]:
            _log.warning("log lines cannot be written to %s and are dropped: %s", self._path, error)
        self.counters["log_lines_dropped"] += lines
        self._stream = None


_lock = threading.Lock()
_writer: Writer | None = None


def _current() -> Writer:
    global _writer  # noqa: PLW0603 - one writer a process, begun anew after a fork
    found = _writer
    if found is None:
        with _lock:
            found = _writer
            if found is None:
                found = _writer = Writer(conf().log_path, conf().log_format, conf().content_mode)
    return found


def emit(kind: str, when: float, tenant: str, arguments: Mapping[str, Any]) -> None:
    """Log an event: one of the six types, its moment in epoch seconds, its tenant, the arguments of the call."""
    if conf().log_path:
        _current().put((kind, when, tenant, arguments))


def drain(timeout: float = _EXIT_SECONDS) -> bool:
    """Write what waits; True when nothing is left in time."""
    return _writer is None or _writer.drain(timeout)


def counters() -> Mapping[str, int]:
    """Lines written, dropped and unreadable in this process."""
    return {} if _writer is None else dict(_writer.counters)


def _begin_anew() -> None:
    global _writer, _lock
    _writer, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(drain)
