"""A part of `up` ends, with everything it started, when it is asked to, and when nobody is left to ask."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from config.supervisor.part import SUPERVISOR
from tests.e2e.parts import ROOT
from tests.patience import eventually

STUBBORN = "trap '' TERM; sleep 300 & echo begun; while :; do wait; done"


class Part:
    """One part under its launcher, its processes known by a mark in their environment."""

    def __init__(self, folder: Path, supervisor: int, *command: str) -> None:
        self.mark = uuid.uuid4().hex
        self.log = folder / "part.log"
        with self.log.open("wb") as log:
            self.launcher = subprocess.Popen(
                [sys.executable, "-m", "config.supervisor.part", "--", *command],
                cwd=ROOT,
                env={**os.environ, SUPERVISOR: str(supervisor), "MARK": self.mark},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def said(self) -> str:
        return self.log.read_text()

    def processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("MARK") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found


@pytest.fixture
def supervisor() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "300"])
    yield process
    process.kill()
    process.wait(10)


def begun(folder: Path, supervisor: subprocess.Popen[bytes], *command: str) -> Part:
    part = Part(folder, supervisor.pid, *command)
    eventually("the command begins", lambda: "begun" in part.said(), 20, part.said)
    return part


def test_its_exit_code_is_that_of_its_command(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    part = begun(tmp_path, supervisor, "sh", "-c", "echo begun; exit 7")
    assert part.launcher.wait(10) == 7


def test_a_command_that_obeys_ends_in_order(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    part = begun(tmp_path, supervisor, "sh", "-c", "trap 'echo bye; exit 0' TERM; echo begun; while :; do sleep 0.05; done")
    part.launcher.terminate()
    assert part.launcher.wait(10) == 0
    assert "bye" in part.said()


def test_a_command_that_ignores_the_request_is_killed(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    part = begun(tmp_path, supervisor, "sh", "-c", STUBBORN)
    assert len(part.processes()) == 3
    part.launcher.terminate()
    assert part.launcher.wait(20) != 0
    assert not part.processes()


def test_what_a_command_leaves_behind_ends_with_it(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    part = begun(tmp_path, supervisor, "sh", "-c", "sleep 300 & echo begun")
    assert part.launcher.wait(10) == 0
    assert not part.processes()


def test_a_killed_supervisor_takes_a_stubborn_part_along(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    part = begun(tmp_path, supervisor, "sh", "-c", STUBBORN)
    supervisor.send_signal(signal.SIGKILL)
    supervisor.wait(10)
    eventually("nothing is left", lambda: not part.processes(), 20)


def test_without_a_supervisor_nothing_is_started(tmp_path: Path, supervisor: subprocess.Popen[bytes]) -> None:
    supervisor.kill()
    supervisor.wait(10)
    part = Part(tmp_path, supervisor.pid, "sh", "-c", "echo begun")
    assert part.launcher.wait(10) == 1
    assert "begun" not in part.said()
