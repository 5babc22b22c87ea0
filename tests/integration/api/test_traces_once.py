"""Nothing lost, nothing twice: a body that is sent again counts once, without a word of its sender."""

from __future__ import annotations

import gzip
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis
from django.db import connection
from django.test import Client

from apps.monitoring.api.traces import REMEMBER_SECONDS
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from tests.faults.proxy import Proxy
from tests.integration.api.conftest import bearer
from tests.integration.api.exporting import PROTOBUF, export, failure, rejected, send
from tests.integration.api.posting import post, recorded, recorded_of_all, row
from tests.integration.api.test_interactions_once import TENANTS, one_server
from tests.unit.spans.exported import SECOND, Sent, protobuf, sent

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def everybodys(stores: None) -> Client:
    return bearer(can_record=True)


def many(number: int = 1_000, end: float = 0) -> list[Sent]:
    """Of all shards, in several chunks; every second one is nothing that counts."""
    end = end or round(time.time()) - 5
    return [
        sent("invoke_agent" if n % 2 else "plan", end, 1 + n / 1_000, resource={"tenant.id": TENANTS[n % len(TENANTS)]}, span_id=n.to_bytes(8, "big"))
        for n in range(2 * number)
    ]  # fmt: skip


WHOLE = 1_000, sum(1_000_000 + 1_000 * n for n in range(1, 2_000, 2))


def test_a_body_that_comes_again_counts_once_packed_or_not(everybodys: Client) -> None:
    content = protobuf(*many(), Sent({"gen_ai.operation.name": "chat"}))
    for packed in (False, True, False):
        answer = (
            send(everybodys, gzip.compress(content), **{"content-encoding": "gzip"}) if packed else send(everybodys, content)
        )
        assert rejected(answer)[0] == 1
        assert recorded_of_all() == WHOLE


def test_another_body_counts_by_itself(everybodys: Client) -> None:
    spans = many(10)
    export(everybodys, *spans)
    export(everybodys, *spans, kind="application/json")
    export(everybodys, *spans[:-1])
    assert recorded_of_all()[0] == 29


def test_the_same_body_of_another_token_or_address_is_another(agent: Client) -> None:
    spans = [sent("invoke_agent", time.time())]
    for client in (agent, bearer("airline", can_record=True), bearer("retail", can_record=True)):
        assert [rejected(export(client, *spans)) for _ in range(2)] == [(0, "")] * 2
    assert post(agent, row(), "a-key").status_code == 202
    assert (recorded("airline"), recorded("retail")) == (3, 1)


def test_two_at_once_count_once(everybodys: Client) -> None:
    secret, spans = everybodys.defaults["HTTP_AUTHORIZATION"], many()

    def sending(_: int) -> Any:
        try:
            return export(Client(headers={"authorization": secret}), *spans)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert [rejected(answer) for answer in pool.map(sending, range(4))] == [(0, "")] * 4
    assert recorded_of_all() == WHOLE


def test_a_body_is_remembered_for_hours_and_its_writer_longer(agent: Client, valkey: redis.Redis) -> None:
    export(agent, sent("plan", time.time()))
    assert not [*valkey.scan_iter("*:k:*")], "one of which nothing counts is not remembered"
    export(agent, sent("invoke_agent", time.time()))
    left = {kind: [valkey.ttl(key) for key in valkey.scan_iter(f"*:{kind}:*")] for kind in ("k", "w")}
    assert left == {"k": [pytest.approx(REMEMBER_SECONDS, abs=5)], "w": [pytest.approx(REMEMBER_SECONDS + 3_600, abs=5)]}


def test_which_chunk_a_span_is_in_does_not_depend_on_which_of_them_count(agent: Client, settings: Any) -> None:
    """Between two tries the settings may change: what was there is not added again, and nothing else is passed over."""
    end = round(time.time()) - 5
    spans = [sent("invoke_agent", end, attributes={"gen_ai.agent.name": "front" if n % 2 else "back"}) for n in range(1_000)]
    settings.MONITORING_OTLP_AGENTS = ["front"]
    export(agent, *spans)
    settings.MONITORING_OTLP_AGENTS = []
    export(agent, *spans)
    assert recorded() == 500


@one_server
def test_a_body_whose_answers_are_lost_again_and_again_counts_once(everybodys: Client, proxy: Proxy) -> None:
    statuses, began = [], round(time.time()) - 20
    for number in range(6):
        spans = many(end=began + number)
        proxy.cut_answer = proxy.cut_request = 0.45
        while (answer := export(everybodys, *spans)).status_code != 200:
            statuses.append(answer.status_code)
            failure(answer, 503)
            proxy.cut_answer = proxy.cut_request = proxy.cut_answer - 0.05
        proxy.calm()
        assert recorded_of_all() == (1_000 * (number + 1), WHOLE[1] * (number + 1))
    assert 503 in statuses
    assert proxy.faults > 10


def test_what_is_refused_for_good_is_told_and_told_again(everybodys: Client, valkey: redis.Redis, settings: Any) -> None:
    store = HotStore.from_conf()
    shard = shard_of(TENANTS[0], store.shards)
    ended = int(time.time()) * SECOND
    first = Sent({"gen_ai.operation.name": "invoke_agent", "tenant.id": TENANTS[0]}, ended, ended)
    export(everybodys, first)
    valkey.set(f"{settings.MONITORING_KEY_PREFIX}:{{{shard}}}:sealed", "no hash")
    (batch_key,) = valkey.scan_iter(f"*{{{shard}}}:b:*:r")
    valkey.set(batch_key, "another run")  # so that the open batch is sealed, where there is no place for it
    content = protobuf(first, Sent(first.attributes, ended, ended, span_id=b"12345678"))
    for _ in range(2):
        assert "refuses a part" in failure(send(everybodys, content, PROTOBUF), 500)
