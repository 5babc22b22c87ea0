"""Servers that a killed owner left behind: they end on their own soon after it, but a new one must not start beside them."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_ORDERLY_SECONDS: Final = 20.0
_FORCED_SECONDS: Final = 5.0


def end(folder: Path, program: str, stop_signal: int) -> bool:
    """End every process of the program that works in the folder, by force when it takes too long.

    Postgres and Valkey both work in their data folder. Returns whether none is left for certain: only Linux tells where a
    process works; elsewhere nothing is done, and the new server says what is in its way.
    """
    if sys.platform != "linux":
        return False
    left = _working_in(folder, program)
    for signum, seconds in ((stop_signal, _ORDERLY_SECONDS), (signal.SIGKILL, _FORCED_SECONDS)):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(0.05)
            left = _working_in(folder, program)
    return not left


def _working_in(folder: Path, program: str) -> list[int]:
    wanted = str(folder.resolve())
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or it is somebody else's
            if str((process / "cwd").readlink()) == wanted and (process / "comm").read_text().strip() == program:
                found.append(int(process.name))
    return found
