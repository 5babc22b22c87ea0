"""The units of systemd run what the Procfile runs."""

from __future__ import annotations

import configparser
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy" / "systemd").glob("*.service"))
HOME = "/opt/agent-monitoring"
ON_SERVERS = {"web", "worker", "notifier", "beat"}


def test_each_part_has_a_unit_with_its_command() -> None:
    commands = dict(re.findall(r"^(\w+): (.+)$", (ROOT / "Procfile").read_text(), re.MULTILINE))
    assert commands.keys() - ON_SERVERS == {"sink", "traffic"}, (
        "a new part: give it a unit, or say here that servers do without"
    )
    found = {}
    for unit in UNITS:
        parsed = configparser.ConfigParser(interpolation=None)
        parsed.optionxform = str  # type: ignore[assignment,method-assign]
        parsed.read(unit)
        # In a unit one per cent sign begins a specifier.
        found[unit.stem.removeprefix("agent-monitoring-")] = parsed["Service"]["ExecStart"].replace("%%", "%")
    assert found == {name: f"{HOME}/.venv/bin/{commands[name].replace('$PORT', '8000')}" for name in ON_SERVERS}


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for unit in UNITS:
        there = unit.read_text().replace(f"{HOME}/.venv", sys.prefix).replace(HOME, str(ROOT))
        (tmp_path / unit.name).write_text(there)
    units = [str(tmp_path / unit.name) for unit in UNITS]
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False)
    assert (done.returncode, [line for line in done.stderr.splitlines() if "agent-monitoring" in line]) == (0, [])
