"""A process of its own that runs a script, which records for the tenant `acme` in a minute of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap

import pytest

from tests.e2e.parts import ROOT

SETUP = """
import os, signal, sys, time
import django
django.setup()
from apps.monitoring import get_agent_monitor
from apps.monitoring.ingest.recorder import flush_now, recorder
"""
PRELUDE = f"""{SETUP}
monitor = get_agent_monitor("acme")
def record(times):
    for number in range(times):
        monitor.log_and_record_interaction(conversation_id=f"c-{{number}}", agent_response="yes", timestamp=1767571200)
def say(word):
    print(word, flush=True)
"""

ENVIRONMENT = {"DJANGO_SETTINGS_MODULE": "config.settings", "MONITORING_LOG_PATH": os.devnull}


def start(script: str, prelude: str = PRELUDE, **settings: str) -> subprocess.Popen[str]:
    environment = {**os.environ, **ENVIRONMENT, **settings}
    return subprocess.Popen(
        [sys.executable, "-c", prelude + textwrap.dedent(script)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(script: str, prelude: str = PRELUDE, **settings: str) -> str:
    process = start(script, prelude, **settings)
    said, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    return said


def wait_for(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    line = process.stdout.readline()
    if line.strip() != word:
        process.kill()
        pytest.fail(f"it said {line!r} and then: {process.communicate()}")
