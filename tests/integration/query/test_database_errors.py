"""A statement that ends in the middle, where rows are read with their bytes: one line for a person, a 503 for a program."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client

from apps.monitoring.core.clock import isoformat
from apps.monitoring.models import AlertRule
from tests.integration.alerts.judged import SLOW, answered, play, rule
from tests.integration.api.conftest import bearer
from tests.integration.api.problems import problem
from tests.integration.api.rows import send
from tests.integration.ingest.hot import MINUTE

OVER = {"from": isoformat(MINUTE), "to": isoformat(MINUTE + 2)}
RANGE = tuple(f"--{name}={value}" for name, value in OVER.items())


@pytest.fixture
def judged(stores: None) -> AlertRule:
    one = rule()
    play({0: answered(SLOW), 1: answered(SLOW, offset=1)}, 2)
    return one


@pytest.fixture
def asks(judged: AlertRule) -> Client:
    return bearer(can_write=True)


@pytest.fixture
def stuck(asks: Client) -> Iterator[None]:
    """Nobody can read the snapshots, and no statement waits for long."""
    url = os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{connection.settings_dict['NAME']}"
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 200")
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE monitoring_metricsnapshot")
        yield
    connection.close()


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("backtest", RANGE),
        ("suggest_threshold", ("--alerts-per-week=1", *RANGE)),
        ("explain", ("--tenant=acme", f"--at={OVER['from']}")),
    ],
)
def test_a_command_says_it_in_one_line(stuck: None, command: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="the database does not answer: canceling statement due to statement timeout"):
        call_command(command, "slow", *arguments)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "rules/{}/backtest", OVER),
        ("POST", "rules/{}/suggest", {**OVER, "alerts_per_week": 1}),
        ("GET", f"rules/{{}}/explain?tenant=acme&minute={OVER['from']}", None),
        ("GET", f"metrics/summary?tenant=acme&from={OVER['from']}&to={OVER['to']}", None),
    ],
)
def test_the_api_says_that_the_database_is_away(
    stuck: None, judged: AlertRule, asks: Client, method: str, path: str, body: Any
) -> None:
    assert "database" in problem(send(asks, method, path.format(judged.pk), body), 503)
