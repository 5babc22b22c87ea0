"""What `manage.py up` prints when everything is about to run."""

from __future__ import annotations

from io import StringIO

import pytest

from apps.monitoring.management.commands.up import Command


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "told"), [("/state/agent.log", True), ("-", False), ("", False)])
def test_the_file_that_grows_is_named(path: str, *, told: bool) -> None:
    said = StringIO()
    Command(stdout=said)._tell("http://127.0.0.1:8000", {"SINK_HTTP_PORT": "1080", "MONITORING_LOG_PATH": path})
    assert ("\n  log lines       /state/agent.log (" in said.getvalue()) is told
