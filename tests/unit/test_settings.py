"""What the settings make of the environment."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.embedded import environment

SETTINGS = Path(environment.__file__).resolve().parents[1] / "settings.py"
LEAST = {
    "SECRET_KEY": "x" * 50,
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/none",
    "REDIS_URL": "redis://127.0.0.1:1/0",
}
SECRET = "hunter2"
LISTS = (
    "ALLOWED_HOSTS",
    "CSRF_TRUSTED_ORIGINS",
    "MONITORING_ENCRYPTION_KEYS",
    "MONITORING_ALERT_EMAILS",
    "MONITORING_ALLOWED_WEBHOOK_HOSTS",
    "MONITORING_CUSTOM_HANDLERS",
    "MONITORING_OTLP_AGENTS",
)
OPTIONAL = (
    *LISTS,
    "CELERY_BROKER_URL",
    "DEBUG",
    "INSECURE_HTTP",
    "BEHIND_PROXY",
    "LOG_LEVEL",
    "CONN_MAX_AGE",
    "EMAIL_URL",
    "DEFAULT_FROM_EMAIL",
    "SENTRY_DSN",
    "MONITORING_BASE_URL",
    "MONITORING_FLUSH_ON_SIGTERM",
    "MONITORING_KEY_PREFIX",
    "MONITORING_PRICES",
    "MONITORING_SHARDS",
    "MONITORING_WEBHOOK_SECRET",
    "MONITORING_WEBHOOK_URL",
)


def settings(monkeypatch: pytest.MonkeyPatch, **variables: str) -> dict[str, Any]:
    """The settings of a process with this environment, and nothing else of this product's."""
    for name in os.environ:
        if name.startswith("MONITORING_") or name in OPTIONAL:
            monkeypatch.delenv(name)
    for name, value in {**LEAST, **variables}.items():
        monkeypatch.setenv(name, value)
    found = runpy.run_path(str(SETTINGS))
    return {name: value for name, value in found.items() if name.isupper() and not name.startswith("_")}


def complaint(monkeypatch: pytest.MonkeyPatch, **variables: str) -> str:
    with pytest.raises(ImproperlyConfigured) as error:
        settings(monkeypatch, **variables)
    return str(error.value)


@pytest.mark.parametrize("name", OPTIONAL)
@pytest.mark.parametrize("value", ["", " "])
def test_an_empty_variable_is_one_that_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    assert settings(monkeypatch, **{name: value}) == settings(monkeypatch)


@pytest.mark.parametrize("name", LISTS)
def test_a_list_may_have_spaces_between_its_texts(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    assert settings(monkeypatch, **{name: "new, old"})[name] == ["new", "old"]


def test_an_empty_path_of_the_log_is_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch)["MONITORING_LOG_PATH"] == "-"
    assert settings(monkeypatch, MONITORING_LOG_PATH="")["MONITORING_LOG_PATH"] == ""


def test_the_level_of_the_log_may_be_written_small(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings(monkeypatch, LOG_LEVEL="info")["LOGGING"]["root"]["level"] == "INFO"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LOG_LEVEL", "bogus"),
        ("DEBUG", "treu"),
        ("MONITORING_SHARDS", "1e9"),
        ("MONITORING_SHARDS", "1025"),
        ("MONITORING_PRICES", "{"),
        ("MONITORING_PRICES", "[]"),
        ("MONITORING_PRICES", '{"m": 1}'),
        ("MONITORING_PRICES", '{"m": {"input": -1, "output": 1}}'),
    ],
)
def test_what_cannot_be_meant_is_one_line_with_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    said = complaint(monkeypatch, **{name: value})
    assert said.startswith(f"{name} ")
    assert "must " in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", f"postgres://u:{SECRET}@h:port/x"),
        ("DATABASE_URL", f"postgres://u:{SECRET}/@h/x"),
        ("DATABASE_URL", f"mysql://u:{SECRET}@h/x"),
        ("REDIS_URL", f"redis://:{SECRET}@h:port/0"),
        ("REDIS_URL", f"redis+cluster://:{SECRET}@a:6379,b:port"),
        ("EMAIL_URL", f"smtp://u:{SECRET}@h:port"),
        ("EMAIL_URL", f"bogus://u:{SECRET}@h"),
        ("SENTRY_DSN", SECRET),
        ("SENTRY_DSN", f"https://{SECRET}@sentry.example"),
        ("SENTRY_DSN", f"https://{SECRET}@sentry.example:port/1"),
        ("SENTRY_DSN", f"https://{SECRET}@sentry.example:0/1"),
        ("DATABASE_URL", f"postgres://u:{SECRET}@h/x?{SECRET}=1"),
        ("REDIS_URL", f"redis://:{SECRET}@"),
        ("REDIS_URL", f"redis://:a?{SECRET}=1@h"),
        ("EMAIL_URL", f"smtp://u:{SECRET}@"),
        ("CELERY_BROKER_URL", f"redis://:{SECRET}@h:0/1"),
        ("CELERY_BROKER_URL", f"reddis://:{SECRET}@h"),
        ("MONITORING_BASE_URL", f"{SECRET}.example"),
    ],
)
def test_an_address_that_cannot_be_read_is_named_and_its_secret_is_not(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    said = complaint(monkeypatch, **{name: value})
    assert said.startswith(f"{name} is not the address of ")
    assert "such as " in said
    assert SECRET not in said
    assert len(said.splitlines()) == 1


def test_a_command_completes_what_is_empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environment, "STATE", tmp_path)
    for name in ("DATABASE_URL", "REDIS_URL", "SECRET_KEY", "MONITORING_LOG_PATH"):
        monkeypatch.setenv(name, "")
    environment.prepare(["check"])
    assert os.environ["DATABASE_URL"].startswith("postgresql://")
    assert os.environ["REDIS_URL"].startswith("redis://")
    assert os.environ["SECRET_KEY"]
    assert os.environ["MONITORING_LOG_PATH"] == ""
