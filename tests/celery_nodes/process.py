"""A process that behaves like the container object that pytest-celery's nodes talk to.

pytest-celery's containers only use the docker object they hold; given this one, every node, cluster and set-up above it is
pytest-celery's own code.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from config.embedded.process import die_with_parent


class ProcessContainer:
    """The part of docker's Container that is used: attrs, status, logs, reload, kill, stop, restart, exec_run."""

    def __init__(self, argv: Sequence[str], folder: Path, env: Mapping[str, str], port: int | None = None) -> None:
        self.id = uuid.uuid4().hex * 2
        self.name = f"process-{self.id[:8]}"
        self.status = "created"
        self._argv, self._folder, self._env, self._port = list(argv), folder, dict(env), port
        self._log = folder / f"{self.name}.log"
        self._process = self._start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def attrs(self) -> dict[str, Any]:
        ports = {f"{self._port}/tcp": [{"HostPort": str(self._port)}]} if self._port else {}
        return {
            "NetworkSettings": {"Networks": {}, "Ports": ports},
            "HostConfig": {"PortBindings": {}},
            "Config": {"Hostname": "127.0.0.1", "Env": [f"{name}={value}" for name, value in self._env.items()]},
            "State": {"Pid": self._process.pid, "ExitCode": self._process.poll()},
        }

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                self._argv,
                cwd=self._folder,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
            )
        self.status = "running"
        return process

    def reload(self) -> None:
        self.status = "running" if self._process.poll() is None else "exited"

    def kill(self, signal_: str | int | None = None, **more: str | int | None) -> None:
        """SIGKILL takes everything down, as it does with a container's first process; other signals go to that alone."""
        wanted = signal_ or more.get("signal") or signal.SIGKILL
        number = getattr(signal, wanted) if isinstance(wanted, str) else wanted
        if number == signal.SIGKILL:
            os.killpg(self._process.pid, number)
            self._process.wait(10)
        else:
            self._process.send_signal(number)

    def stop(self, timeout: float = 10) -> None:
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(10)

    def restart(self, timeout: float = 10) -> None:
        self.stop(timeout)
        self._log.unlink()  # what was said before is no sign of the new one being ready
        self._process = self._start()

    def logs(self) -> bytes:
        return self._log.read_bytes() if self._log.exists() else b""

    def exec_run(self, command: str | list[str], **_: Any) -> tuple[int, bytes]:
        argv = shlex.split(command) if isinstance(command, str) else list(command)
        program = [sys.executable, *argv[1:]] if argv[0] == "python" else argv
        done = subprocess.run(program, cwd=self._folder, env=self._env, capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr
