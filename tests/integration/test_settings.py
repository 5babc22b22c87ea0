"""A command that cannot read its settings says so in one line."""

from __future__ import annotations

import os

import pytest

from tests.e2e.parts import manage


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "bogus"),
        ("DATABASE_URL", "postgresql://u:p/w@h/x"),
        ("SENTRY_DSN", "https://sentry.example"),
        ("MONITORING_PRICES", "{"),
    ],
)
def test_a_bad_value_is_one_line_with_its_name(name: str, value: str) -> None:
    done = manage({**os.environ, name: value}, "check")
    assert done.returncode == 1
    assert done.stderr.startswith(f"{name} is ")
    assert len(done.stderr.splitlines()) == 1
