"""A private Valkey on the loopback interface, with an append-only file."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from config.embedded import binaries, leftovers, secret
from config.embedded.process import answers, free_port, start, stop


@dataclass(slots=True)
class Valkey:
    """``state`` keeps the data and the log; ``port`` 0 takes a free one."""

    state: Path
    port: int = 0
    url: str = ""
    options: tuple[str, ...] = ()
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start; what an earlier run wrote is loaded. Raises StartError or ServerMissingError."""
        self.state.mkdir(parents=True, exist_ok=True)
        data = self.state / "valkey"
        data.mkdir(exist_ok=True, mode=0o700)
        program = binaries.valkey()
        leftovers.end(data, program.name, signal.SIGTERM)
        password = secret.keep(self.state / "valkey-password", lambda: secrets.token_urlsafe(24))
        self.port = port = self.port or self._kept_port()
        config = data / "server.conf"
        config.touch(mode=0o600)
        config.write_text(f"requirepass {password}\n")
        self._process = start(
            [
                program, config, "--bind", "127.0.0.1", "--port", str(port), "--dir", data, "--appendonly", "yes",
                "--appendfsync", "everysec", "--save", "", "--maxmemory-policy", "noeviction",
                "--hash-max-listpack-entries", "128", *self.options,
            ],
            self.state / "valkey.log",
            lambda: answers(port, f"AUTH {password}\r\nPING\r\n".encode(), b"+OK\r\n+PONG"),
            signal.SIGTERM,
        )  # fmt: skip
        self.url = f"redis://:{password}@127.0.0.1:{port}/0"

    def _kept_port(self) -> int:
        """The same over restarts: an agent's own site may have it in its settings."""
        port = int(secret.keep(self.state / "valkey-port", lambda: str(free_port())))
        return free_port() if answers(port) else port

    def stop(self) -> None:
        """In order: the append-only file is complete."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def runs(self) -> bool:
        """Whether it was started, and neither stopped nor ended by itself."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """As a crash would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
