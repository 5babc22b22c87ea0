"""Start a server as a child that does not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

_PR_SET_PDEATHSIG: Final = 1
_START_SECONDS: Final = 60.0


class StartError(Exception):
    """A server did not start; the message ends with what it said."""


def die_with_parent(signum: int) -> Callable[[], None]:
    """For `preexec_fn`: the kernel sends the signal when the parent is gone, however it went (Linux only).

    See prctl(2), PR_SET_PDEATHSIG; it must be set after the user is changed.
    """

    def prepare() -> None:
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signum, 0, 0, 0)

    return prepare


def start(
    argv: Sequence[str | Path], log: Path, ready: Callable[[], bool], stop_signal: int, **popen: Any
) -> subprocess.Popen[bytes]:
    """Start a server and wait until it answers. Raises StartError with the end of its log."""
    with log.open("ab") as output:
        process = subprocess.Popen(
            list(map(str, argv)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent(stop_signal),
            **popen,
        )
    deadline = time.monotonic() + _START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            said = log.read_text(errors="replace")[-800:]
            msg = f"{Path(argv[0]).name} did not start:\n{said}"
            raise StartError(msg)
        time.sleep(0.02)
    return process


def stop(process: subprocess.Popen[bytes], stop_signal: int = signal.SIGTERM, seconds: float = 20.0) -> None:
    """Stop a server in order, by force when it takes too long."""
    if process.poll() is None:
        process.send_signal(stop_signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, send: bytes = b"", expect: bytes = b"") -> bool:
    """Whether a server on the loopback interface takes a connection (and answers as expected)."""
    try:
        with socket.create_connection(("127.0.0.1", port), 1) as connection:
            if not send:
                return True
            connection.settimeout(1)
            connection.sendall(send)
            return connection.recv(64).startswith(expect)
    except OSError:
        return False
