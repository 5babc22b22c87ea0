"""What `manage.py up` sets for its parts, and takes from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_django import Settings

from apps.monitoring.management.commands.up import Command

ADDRESS = "http://127.0.0.1:8000"


def test_what_is_empty_is_set_for_the_parts(monkeypatch: pytest.MonkeyPatch, settings: Settings, tmp_path: Path) -> None:
    settings.STATE_DIR = tmp_path
    for name in ("EMAIL_URL", "MONITORING_BASE_URL", "MONITORING_ALERT_EMAILS", "MONITORING_LOG_PATH"):
        monkeypatch.setenv(name, "")
    found = Command()._environment(8000, ADDRESS)
    assert found["EMAIL_URL"].startswith("smtp://127.0.0.1:")
    assert found["MONITORING_BASE_URL"] == ADDRESS
    assert found["MONITORING_ALERT_EMAILS"] == "ops@example.com"
    assert found["MONITORING_LOG_PATH"] == ""


def test_lists_are_read_as_the_parts_read_them(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
    for name in ("MONITORING_ALERT_EMAILS", "MONITORING_ALLOWED_WEBHOOK_HOSTS"):
        monkeypatch.setenv(name, "a.example, b.example")
        setattr(settings, name, [])
    for name in ("MONITORING_WEBHOOK_URL", "MONITORING_WEBHOOK_SECRET", "MONITORING_BASE_URL"):
        monkeypatch.setenv(name, ADDRESS)
        setattr(settings, name, "")
    Command()._adopt()
    assert settings.MONITORING_ALERT_EMAILS == ["a.example", "b.example"]
    assert settings.MONITORING_ALLOWED_WEBHOOK_HOSTS == ["a.example", "b.example"]
    assert settings.MONITORING_BASE_URL == ADDRESS
