"""Many who ask a web server for the same at once cost it one reading, and each gets what its own token may see."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
import redis
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from apps.monitoring.models import ApiToken
from apps.monitoring.query import cache
from tests.integration.api.conftest import Record
from tests.patience import eventually

ASKERS = 12
NOW = datetime.now(UTC)
# Of a whole run of all tests: it begins when the first one does.
RANGE = {"from": (NOW - timedelta(minutes=10)).isoformat(), "to": (NOW + timedelta(hours=6)).isoformat()}
SUMMARY = f"/api/v1/metrics/summary?{urlencode(RANGE)}"
SERIES = f"/api/v1/metrics/series?{urlencode(RANGE | {'metric': 'interactions', 'stat': 'count', 'step': '1m'})}"
DASHBOARD = "/dashboard/data?window=1h"


@pytest.fixture(autouse=True)
def kept(settings: Any) -> None:
    settings.MONITORING_READ_CACHE_SECONDS = 600.0
    cache._begin_anew()


Ask = Callable[[str], tuple[int, Any]]


@pytest.fixture
def ask(live_server: LiveServer) -> Callable[[Mapping[str, str]], Ask]:
    """Asks over HTTP with some headers; gives the status and the body."""

    def with_headers(headers: Mapping[str, str]) -> Ask:
        def asked(path: str) -> tuple[int, Any]:
            try:
                with urlopen(Request(live_server.url + path, headers=dict(headers)), timeout=60) as answer:  # noqa: S310 - ours
                    return answer.status, json.load(answer)
            except HTTPError as refused:
                return refused.code, json.load(refused)

        return asked

    return with_headers


def token(tenant: str = "") -> dict[str, str]:
    _, secret = ApiToken.issue("a test", tenant)
    return {"authorization": f"Bearer {secret}"}


def session() -> dict[str, str]:
    client = Client()
    client.force_login(User.objects.create_user("ops", is_staff=True))
    return {"cookie": f"{django_settings.SESSION_COOKIE_NAME}={client.cookies[django_settings.SESSION_COOKIE_NAME].value}"}


def readings(valkey: redis.Redis) -> int:
    """How many times the hot store was asked for a hash, which only a computation does."""
    stats: Any = valkey.info("commandstats")
    return int(stats.get("cmdstat_hgetall", {"calls": 0})["calls"])


def waiting() -> int:
    """How many connections want to read the series and may not."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'monitoring_series'::regclass")
        return int(cursor.fetchone()[0])


def together(asked: list[tuple[Ask, str]], computations: int) -> list[tuple[int, Any]]:
    """The answers to those who ask while the first ones are held up in the database."""
    with ThreadPoolExecutor(len(asked)) as askers:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE monitoring_series IN ACCESS EXCLUSIVE MODE")
            answers = [askers.submit(ask, path) for ask, path in asked]
            eventually("the computations are held up", lambda: waiting() == computations, 30)
            time.sleep(0.3)  # so that most of the others wait for them; right also when none does
            assert waiting() == computations
        return [answer.result() for answer in answers]


@pytest.mark.parametrize("path", [SUMMARY, SERIES, DASHBOARD], ids=["summary", "series", "dashboard"])
def test_those_who_ask_at_once_share_one_reading(
    ask: Callable[[Mapping[str, str]], Ask], record: Record, valkey: redis.Redis, path: str
) -> None:
    record("airline", 3)
    client = ask(session() if path == DASHBOARD else token())
    # In another minute the dashboard's window is another question.
    eventually("there is time left in the minute", lambda: path != DASHBOARD or time.time() % 60 < 45, 20)
    before = readings(valkey)
    status, alone = client(path)
    assert status == 200
    once = readings(valkey) - before
    assert once
    cache._begin_anew()
    answers = together([(client, path)] * ASKERS, 1)
    assert readings(valkey) - before == 2 * once
    assert {status for status, _ in answers} == {200}
    for _, answer in answers:
        if path == DASHBOARD:
            assert (answer["summary"]["interactions"], answer["points"]) == ({"total": 3, "answered": 3}, alone["points"])
        else:
            assert answer == alone


@pytest.mark.parametrize("path", [SUMMARY, SERIES], ids=["summary", "series"])
def test_a_tenants_answer_is_never_given_to_another_token(
    ask: Callable[[Mapping[str, str]], Ask], record: Record, path: str
) -> None:
    """Everybody asks for the same range at once, and then again what is kept by then."""
    for tenant, number in (("airline", 2), ("retail", 5)):
        record(tenant, number)
    own = {tenant: ask(token(tenant)) for tenant in ("airline", "retail", "")}
    asked = [own[""], own["airline"], own["retail"]] * 4
    for answers in (together([(client, path) for client in asked], 3), [client(path) for client in asked]):
        assert [(status, body["tenant"]) for status, body in answers] == [(200, None), (200, "airline"), (200, "retail")] * 4
        assert [total(body) for _, body in answers] == [7, 2, 5] * 4
    assert own["airline"](f"{path}&tenant=retail")[0] == 403


def total(body: Mapping[str, Any]) -> int:
    if "interactions" in body:
        return int(body["interactions"]["total"])
    return int(sum(body["series"][0]["values"]))
