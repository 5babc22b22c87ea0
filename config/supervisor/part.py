"""Launcher of one part: `python -m config.supervisor.part -- command …`.

Starts the command in a process group of its own and takes the whole group down when it is asked to stop, or when the
supervisor is gone, even by SIGKILL: it waits on the supervisor's pidfd (pidfd_open(2)) beside the command's own.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Final

from config.embedded.process import die_with_parent

SUPERVISOR: Final = "AGENTMON_SUPERVISOR_PID"
_GRACE_SECONDS: Final = 10.0


def main(command: list[str]) -> int:
    """Run the command until it ends, somebody asks to stop, or the supervisor is gone; returns its exit code."""
    asked = _stop_requests()
    try:
        supervisor = os.pidfd_open(int(os.environ[SUPERVISOR]))
    except ProcessLookupError:
        return 1
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM))
    select.select([asked, supervisor, os.pidfd_open(child.pid)], [], [])
    if child.poll() is None:
        child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(_GRACE_SECONDS)
    _end_group(child.pid)
    return child.wait()


def _stop_requests() -> int:
    """A file descriptor that becomes readable with SIGTERM or SIGINT."""
    readable, writable = os.pipe()
    os.set_blocking(writable, False)
    signal.set_wakeup_fd(writable)
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: None)
    return readable


def _end_group(group: int) -> None:
    """Whatever the command left behind in its group ends too."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--") + 1 :]))
