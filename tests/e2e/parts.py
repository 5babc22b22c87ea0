"""The product as it runs: the commands of the Procfile as processes, and the management commands."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from types import MappingProxyType, TracebackType
from typing import Self

from config.embedded.process import stop

ROOT = Path(__file__).resolve().parents[2]
_END_SECONDS = 20.0


def command_of(part: str, environment: Mapping[str, str] = MappingProxyType({})) -> list[str]:
    """The command line of a part of the Procfile, its program taken from this virtual environment."""
    for line in (ROOT / "Procfile").read_text().splitlines():
        name, _, command = line.partition(":")
        if name == part:
            program, *arguments = shlex.split(Template(command).safe_substitute(environment))
            return [str(Path(sys.executable).parent / program), *arguments]
    raise LookupError(part)


@dataclass
class Parts:
    """Some parts of the Procfile under one environment; leaving the context ends them."""

    environment: Mapping[str, str]
    logs: Path
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for process in self.running.values():
            process.terminate()
        for process in self.running.values():
            stop(process, seconds=_END_SECONDS)

    def start(self, *names: str) -> None:
        for name in names:
            with self.log(name).open("ab") as log:
                self.running[name] = subprocess.Popen(
                    command_of(name, self.environment),
                    cwd=ROOT,
                    env=dict(self.environment),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def told(self) -> str:
        """The end of what every part wrote, for the message of a test that fails."""
        return "\n".join(f"--- {name}\n{self.log(name).read_text(errors='replace')[-3_000:]}" for name in self.running)

    def manage(self, *arguments: str) -> str:
        """What a management command prints; one that fails fails the test with its own words."""
        done = manage(self.environment, *arguments)
        assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stderr}"
        return done.stdout


def manage(environment: Mapping[str, str], *arguments: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a management command as a person would."""
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=dict(environment),
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def environment_of_tests(**more: str) -> dict[str, str]:
    """The environment of this test run, on the database that pytest-django made for it."""
    from django.db import connection

    database = connection.settings_dict["NAME"]
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{database}"
    return {**os.environ, "DATABASE_URL": url, "PYTHONUNBUFFERED": "1", **more}
