"""The orderly ends of a process: what is to be done before it is gone, however it goes.

`atexit` alone does not see them all: children of multiprocessing and the processes of Celery's pool leave by `os._exit`,
and a SIGTERM that nobody handles ends the process at once (uvicorn raises it again when it has shut down).
"""

from __future__ import annotations

import atexit
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Final

from celery.signals import worker_process_init, worker_process_shutdown

_log = logging.getLogger(__name__)

_FIRST: Final = 100
"""Among the finalizers of multiprocessing: before its queues and pools are taken down."""

Call = Callable[[], object]

_ends: list[Call] = []
_warnings: list[Call] = []
_asked = False


def watch(end: Call, warn: Call) -> None:
    """Call ``end`` when the process ends in order, and ``warn`` as soon as it is asked to; at once if it was already.

    ``end`` may be called several times. ``warn`` is called in a signal handler: it must not wait for anything.
    """
    if end not in _ends:
        _ends.append(end)
    if warn not in _warnings:
        _warnings.append(warn)
    _watch_multiprocessing()
    if _asked:
        warn()


def watch_sigterm() -> None:
    """Take SIGTERM over, from the main thread; whoever handles it now goes on to do so.

    Where nobody does, the process is ended by it as before, once the ends are done.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    before = signal.getsignal(signal.SIGTERM)
    if before is signal.SIG_DFL or (callable(before) and before is not _on_sigterm):
        global _before  # noqa: PLW0603 - one handler a process
        _before = before
        signal.signal(signal.SIGTERM, _on_sigterm)


_before: Any = signal.SIG_DFL


def _on_sigterm(number: int, frame: FrameType | None) -> None:
    global _asked  # noqa: PLW0603
    _asked = True
    for warn in _warnings:
        warn()
    if callable(_before):
        _before(number, frame)
        return
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one ends it at once
    if not _ends:
        os.kill(os.getpid(), signal.SIGTERM)
        return
    # On a thread of its own: the one that was interrupted may hold what the ends need.
    try:
        threading.Thread(target=_end_by_sigterm, name="agent-monitor-end", daemon=True).start()
    except RuntimeError:  # no thread is to be had
        os.kill(os.getpid(), signal.SIGTERM)


def _end_by_sigterm() -> None:
    _end()
    os.kill(os.getpid(), signal.SIGTERM)


def _end(**_: Any) -> None:
    global _asked  # noqa: PLW0603
    _asked = True
    for end in _ends:
        try:
            end()
        except Exception:
            _log.exception("the end of the process goes on after an error")


def _watch_multiprocessing() -> None:
    """In a child of multiprocessing, whose finalizers were cleared when it began: once in each."""
    process = sys.modules.get("multiprocessing.process")
    if process is None or process.parent_process() is None:
        return
    from multiprocessing.util import Finalize  # where it is not used it is not loaded

    Finalize(None, _end, exitpriority=_FIRST)


def _begin_in_pool(**_: Any) -> None:
    watch_sigterm()


atexit.register(_end)
worker_process_shutdown.connect(_end)
worker_process_init.connect(_begin_in_pool)
