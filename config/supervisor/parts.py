"""The Procfile, run by honcho: all parts start together and end together."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from honcho.environ import parse_procfile
from honcho.manager import Manager

from config.supervisor.part import SUPERVISOR

ROOT: Final = Path(__file__).resolve().parents[2]


class _Manager(Manager):  # type: ignore[misc]
    """Honcho's, which would kill what has not ended after five seconds: a launcher, whose command would then be alone."""

    def kill(self) -> None:
        """Do nothing: each launcher sees to the end of its command, by force when it takes too long."""


def run(env: Mapping[str, str], without: frozenset[str] = frozenset(), more: Mapping[str, str] | None = None) -> int:
    """Run every part of the Procfile, and some more, until one ends or a signal comes.

    Returns the exit code of the first that ended, or what a shell would return for the signal (130, 143). The programs of
    the virtual environment come first on PATH. Honcho passes SIGINT and SIGTERM on to the parts.
    """
    complete = {
        **os.environ,
        **env,
        SUPERVISOR: str(os.getpid()),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    manager = _Manager()
    commands = {**parse_procfile((ROOT / "Procfile").read_text()).processes, **(more or {})}
    for name, command in commands.items():
        if name not in without:
            launcher = f"exec {shlex.quote(sys.executable)} -m config.supervisor.part -- sh -c {shlex.quote('exec ' + command)}"
            manager.add_process(name, launcher, env=complete, cwd=str(ROOT))
    manager.loop()
    return int(manager.returncode or 0)
