"""Clients of the API, and what it may tell them about."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection
from django.test import Client

from apps.monitoring import get_agent_monitor
from apps.monitoring.ingest.recorder import flush_now
from apps.monitoring.models import ApiToken
from tests.faults.proxy import Proxy

Record = Callable[..., None]
NOBODY_LISTENS = 1
"""A port that refuses every connection."""


def bearer(tenant: str = "", *, can_write: bool = False, can_record: bool = False) -> Client:
    """A client with a token of its own: bound to the tenant, or to none."""
    _, secret = ApiToken.issue("a test", tenant, can_write=can_write, can_record=can_record)
    return Client(enforce_csrf_checks=True, headers={"authorization": f"Bearer {secret}"})


@pytest.fixture
def record(stores: None) -> Record:
    """Puts interactions of one tenant into the hot store."""

    def recorded(tenant: str, number: int = 1, **more: Any) -> None:
        for index in range(number):
            get_agent_monitor(tenant).log_and_record_interaction(
                **{
                    "conversation_id": f"{tenant}-{index}",
                    "agent_response": "an answer",
                    "processing_time_ms": 1_500.0,
                    "timestamp": time.time(),
                    **more,
                }
            )
        assert flush_now()

    return recorded


@pytest.fixture
def everyone(stores: None) -> Client:
    return bearer()


@pytest.fixture
def reader(db: None) -> Client:
    """Of every tenant, and without the hot store."""
    return bearer()


@pytest.fixture
def writer(db: None) -> Client:
    return bearer(can_write=True)


@pytest.fixture
def agent(stores: None) -> Client:
    """It records for one tenant."""
    return bearer("airline", can_record=True)


@pytest.fixture
def airline(stores: None) -> Client:
    return bearer("airline")


@pytest.fixture
def database_away(stores: None) -> Iterator[None]:
    """The address in the settings is one where nobody listens."""
    port = connection.settings_dict["PORT"]
    connection.close()
    connection.settings_dict["PORT"] = NOBODY_LISTENS
    yield
    connection.close()
    connection.settings_dict["PORT"] = port


@pytest.fixture
def hot_store_away(stores: None, settings: Any) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{NOBODY_LISTENS}/0"


@pytest.fixture
def proxy(redis_url: str, settings: Any) -> Iterator[Proxy]:
    """Before the hot store."""
    address = urlsplit(redis_url)
    with Proxy(address.port or 0, seed=7) as between:
        settings.REDIS_URL = redis_url.replace(f":{address.port}", f":{between.port}")
        yield between
    settings.REDIS_URL = redis_url
