"""Processes and threads of the product on the database of this test."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.db import connection

ROOT = Path(__file__).resolve().parents[3]


def environment(**more: str) -> dict[str, str]:
    """The environment of this test run, on the database that was made for it."""
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    own = {"DATABASE_URL": url, "DJANGO_SETTINGS_MODULE": "config.settings", "MONITORING_ALLOWED_WEBHOOK_HOSTS": "127.0.0.1"}
    return {**os.environ, **own, **more}


def start(code: str, **more: str) -> subprocess.Popen[str]:
    """Start a process that runs Python code with Django set up."""
    return subprocess.Popen(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
        cwd=ROOT,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_apart(code: str, **more: str) -> str:
    """Run Python code in a process of its own; what it wrote. It has to end well."""
    process = start(code, **more)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


def at_once(*runs: Callable[[], Any], when: Callable[[], bool] = lambda: True) -> list[Any]:
    """Run each in a thread of its own, all but the first as soon as the condition holds; what they return."""
    results: list[Any] = [None] * len(runs)
    failures: list[BaseException] = []
    ready = threading.Event()

    def run(number: int) -> None:
        try:
            assert number == 0 or ready.wait(20)
            results[number] = runs[number]()
        except BaseException as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    deadline = datetime.now(UTC) + timedelta(seconds=20)
    while not when() and datetime.now(UTC) < deadline and threads[0].is_alive():
        threads[0].join(0.01)
    ready.set()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return results
