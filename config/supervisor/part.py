"""Launcher of one part: `python -m config.supervisor.part -- command …`.

Starts the command in a process group of its own, passes signals on, and takes the whole group down when the supervisor
is gone, even by SIGKILL: it waits on the supervisor's pidfd (pidfd_open(2)) beside the command's own.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from types import FrameType
from typing import Final

from config.embedded.process import die_with_parent

SUPERVISOR: Final = "AGENTMON_SUPERVISOR_PID"
_GRACE_SECONDS: Final = 10.0


def main(command: list[str]) -> int:
    """Run the command until it ends or the supervisor does; returns its exit code."""
    try:
        supervisor = os.pidfd_open(int(os.environ[SUPERVISOR]))
    except ProcessLookupError:
        return 1
    child = subprocess.Popen(command, start_new_session=True, preexec_fn=die_with_parent(signal.SIGTERM))

    def stop(_signum: int, _frame: FrameType | None) -> None:
        child.terminate()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    select.select([supervisor, os.pidfd_open(child.pid)], [], [])
    if child.poll() is None:
        child.terminate()
    try:
        child.wait(_GRACE_SECONDS)
    finally:
        _end_group(child.pid)
    return child.wait()


def _end_group(group: int) -> None:
    """Whatever the command left behind in its group ends too."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--") + 1 :]))
