"""manage.py under a Python that has not what it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def complaint(folder: Path, *options: str) -> list[str]:
    """The lines that it says instead of running a command."""
    done = subprocess.run(
        [sys.executable, *options, "manage.py", "summary"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    return done.stderr.splitlines()


def test_a_python_without_the_packages_is_one_line_that_says_which_to_use() -> None:
    assert complaint(ROOT, "-S") == [  # without site-packages, as the system's Python is
        "the package django is missing: use .venv/bin/python manage.py, which `make install` makes"
    ]


def test_another_import_that_fails_is_shown_as_it_is(tmp_path: Path) -> None:
    shutil.copy(ROOT / "manage.py", tmp_path)
    module = tmp_path / "config" / "embedded" / "environment.py"
    module.parent.mkdir(parents=True)
    for broken, said in (
        ("import config.gone", "ModuleNotFoundError: No module named 'config.gone'"),
        ("from os import gone", "ImportError: cannot import name 'gone' from 'os'"),
    ):
        module.write_text(broken)
        lines = complaint(tmp_path)
        assert lines[0].startswith("Traceback")
        assert lines[-1].startswith(said)
