"""The log of this process: configured once, shared by every monitor."""

from __future__ import annotations

import atexit
import logging
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from apps.monitoring.conf import conf, is_first_complaint
from apps.monitoring.core.event import TYPE, Event
from apps.monitoring.logs.events import MESSAGES
from apps.monitoring.logs.formats import FORMATS
from apps.monitoring.logs.line import Renderer
from apps.monitoring.logs.redaction import MAX_TEXT, Redactor
from apps.monitoring.logs.sink import Sink
from apps.monitoring.logs.writer import QUEUE_BYTES, QUEUE_SIZE, LogWriter

_log = logging.getLogger(__name__)

_EXIT_SECONDS: Final = 3.0
_LOGGED: Final = frozenset(MESSAGES)


@dataclass(frozen=True, slots=True)
class _Settings:
    path: str
    log_format: str
    content_mode: str
    patterns: tuple[str, ...]
    max_text: int
    queue_size: int
    queue_bytes: int


_lock = threading.RLock()
_settings: _Settings | None = None
_redactor: Redactor | None = None
_writer: LogWriter | None = None
_past: Counter[str] = Counter()
"""What writers of earlier settings have counted."""


def configure(  # noqa: PLR0913 - one for each setting
    *,
    path: str = "-",
    log_format: str = "json",
    content_mode: str = "redacted",
    patterns: Sequence[str] = (),
    max_text: int = MAX_TEXT,
    queue_size: int = QUEUE_SIZE,
    queue_bytes: int = QUEUE_BYTES,
) -> None:
    """Set where lines go (``-`` standard output, a path, empty for nowhere), how they look and what is redacted.

    Safe to call again: the same settings change nothing, others take effect after what waits is written. Raises
    ValueError that names what is wrong.
    """
    global _settings, _redactor, _writer
    wanted = _Settings(path, log_format, content_mode, tuple(patterns), max_text, queue_size, queue_bytes)
    if log_format not in FORMATS:
        raise ValueError(f"the log format {log_format!r} is not one of {', '.join(FORMATS)}")
    redacting = Redactor.make(content_mode, wanted.patterns, max_text)
    with _lock:
        if wanted == _settings:
            return
        previous, _writer = _writer, None
        _settings, _redactor = wanted, redacting
    if previous is not None:
        previous.close(_EXIT_SECONDS)
        _past.update(previous.counters())


def configure_from_settings() -> None:
    """The settings that docs/logs.md lists. One that cannot work is said, and leaves out everything that people wrote."""
    settings = conf()
    try:
        configure(
            path=settings.log_path,
            log_format=settings.log_format,
            content_mode=settings.content_mode,
            patterns=settings.redaction_patterns,
            max_text=settings.max_text,
            queue_size=settings.log_queue_size,
            queue_bytes=settings.log_queue_bytes,
        )
    except (ValueError, TypeError):
        if is_first_complaint("the log"):
            _log.exception("the log's settings cannot work; until they are mended no text is logged")
        configure(path=settings.log_path, content_mode="none")


def emit_many(events: Iterable[Event], *, render: bool = False) -> None:
    """Log events as the recorder has them, those of a type that has a line. Never blocks on I/O.

    With ``render`` their lines are made here, otherwise by the thread that writes them. The arguments may be read later, on
    another thread: hand over mappings that nobody changes any more.
    """
    writer = _writer or _begun()
    if writer is not None:
        writer.put([event for event in events if event[TYPE] in _LOGGED])
        if render:
            writer.render()


def drain(timeout: float = _EXIT_SECONDS) -> bool:
    """Write what waits; True when all of it is written in time."""
    return _writer is None or _writer.drain(timeout)


def counters() -> Mapping[str, int]:
    """Lines written, dropped and failed in this process, and writes tried again."""
    return _past if _writer is None else _past + Counter(_writer.counters())


def redactor() -> Redactor:
    """The redactor as configured, for whatever else leaves the process."""
    return _configured()[1]


def _configured() -> tuple[_Settings, Redactor]:
    with _lock:
        if _settings is None or _redactor is None:
            configure_from_settings()
        assert _settings is not None  # noqa: S101 - configured just now
        assert _redactor is not None  # noqa: S101
        return _settings, _redactor


def _begun() -> LogWriter | None:
    """The writer, or None when lines go nowhere."""
    global _writer  # noqa: PLW0603 - one log a process
    with _lock:
        settings, redacting = _configured()
        if _writer is None and settings.path:
            render = Renderer(redacting, FORMATS[settings.log_format])
            _writer = LogWriter(Sink(settings.path), render, queue_size=settings.queue_size, queue_bytes=settings.queue_bytes)
        return _writer


def _begin_anew() -> None:
    """In a forked child: another thread of the parent may have held the lock."""
    global _lock  # noqa: PLW0603 - one lock a process
    _lock = threading.RLock()
    _past.clear()


def _at_exit() -> None:
    if not drain(_EXIT_SECONDS):
        _log.error("the process ends with log lines that could not be written")


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(_at_exit)
