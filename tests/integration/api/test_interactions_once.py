"""Nothing lost, nothing twice: whatever happens to a batch on its way, sent again under its key it counts once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
from django.db import connection
from django.test import Client

from apps.monitoring.core.series import GLOBAL
from apps.monitoring.core.values import MAX_PAST_SECONDS
from apps.monitoring.ingest import recorder
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.interactions import ingestion
from apps.monitoring.models import ApiToken
from tests.faults.proxy import Proxy
from tests.integration.api.conftest import NOBODY_LISTENS, bearer
from tests.integration.api.posting import post, recorded, recorded_of_all, row
from tests.integration.api.problems import problem
from tests.integration.ingest.hot import everything, fields
from tests.patience import eventually
from tests.servers import plugin

pytestmark = pytest.mark.usefixtures("stores")

TENANTS = [f"tenant-{number}" for number in range(12)]
one_server = pytest.mark.skipif(plugin.servers.cluster is not None, reason="it stands before one server")


@pytest.fixture
def everybodys(stores: None) -> Client:
    return bearer(can_record=True)


def many(number: int = 1_000) -> list[dict[str, Any]]:
    """Of all shards, in several chunks."""
    return [row(n, tenant=TENANTS[n % len(TENANTS)]) for n in range(number)]


WHOLE = 1_000, sum(100_000 + 1_000 * n for n in range(1_000))


def test_a_batch_that_comes_again_counts_once_and_is_answered_alike(everybodys: Client) -> None:
    rows = [*many(), {"tenant": 5}]
    first = post(everybodys, rows, "a-key").json()
    assert (first["accepted"], first["repeated"]) == (1_000, False)
    assert recorded_of_all() == WHOLE
    for _ in range(2):
        again = post(everybodys, rows, "a-key")
        assert (again.status_code, again.json()) == (202, {**first, "repeated": True})
    assert recorded_of_all() == WHOLE
    recorder.flush_now()
    assert fields(everything(HotStore.from_conf()), GLOBAL)["me\x1flines_rejected:n"] == 1


def test_without_a_key_each_counts(agent: Client) -> None:
    for _ in range(2):
        assert post(agent, row()).json()["repeated"] is False
    assert recorded() == 2


def test_the_same_key_with_another_batch_is_refused(agent: Client) -> None:
    assert post(agent, row(1), "a-key").status_code == 202
    for other in (row(2), [row(1)]):
        assert "another body" in problem(post(agent, other, "a-key"), 422)
    assert recorded() == 1
    assert post(agent, row(2), "another-key").json()["repeated"] is False


def test_a_batch_of_which_nothing_counts_does_not_take_its_key(agent: Client) -> None:
    problem(post(agent, [{"errors": 5}], "a-key"), 400)
    assert post(agent, [row()], "a-key").json()["accepted"] == 1


def test_the_key_of_another_token_or_tenant_is_another_key(agent: Client) -> None:
    """Nobody learns of another's keys, or takes them."""
    senders = [agent, bearer("airline", can_record=True), bearer("retail", can_record=True)]
    for number, sender in enumerate(senders):
        answer = post(sender, row(number), "a-key")
        assert (answer.status_code, answer.json()["repeated"]) == (202, False)
        assert post(sender, row(number), "a-key").json()["repeated"] is True
    assert (recorded("airline"), recorded("retail")) == (2, 1)


@pytest.mark.parametrize("key", ["", "a b", "é", "x" * 256, "\x7f"])
def test_a_key_is_visible_ascii_of_a_bounded_length(agent: Client, key: str) -> None:
    assert "255 visible" in problem(post(agent, row(), key), 400)
    assert recorded() == 0


@pytest.mark.parametrize("key", ['"8e03978e-40d5-43dd-bc93-6894a57f9324"', "x" * 255, "!", "a:{0}*\\"])
def test_any_other_key_works(agent: Client, key: str) -> None:
    assert [post(agent, row(), key).json()["repeated"] for _ in range(2)] == [False, True]


def test_the_key_is_remembered_for_a_day_and_its_writer_longer(agent: Client, valkey: redis.Redis) -> None:
    post(agent, row(), "a-key")
    post(agent, row())
    left = {kind: sorted(valkey.ttl(key) for key in valkey.scan_iter(f"*:{kind}:*")) for kind in ("k", "w")}
    assert left["k"] == [pytest.approx(86_400, abs=5)]
    assert left["w"] == [pytest.approx(600, abs=5), pytest.approx(90_000, abs=5)]


def test_every_key_carries_the_tag_of_a_shard_and_names_nobody(agent: Client, valkey: redis.Redis) -> None:
    post(agent, row(), "the-secret-key")
    found = [*valkey.scan_iter("*:k:*"), *valkey.scan_iter("*:w:*")]
    assert len(found) == 2
    assert all("{" in key and "the-secret-key" not in key for key in found)


def test_two_at_once_count_once(everybodys: Client) -> None:
    secret = everybodys.defaults["HTTP_AUTHORIZATION"]

    def send(_: int) -> Any:
        try:
            return post(Client(headers={"authorization": secret}), many(), "a-key")
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(send, range(4)))
    assert [(answer.status_code, answer.json()["accepted"]) for answer in answers] == [(202, 1_000)] * 4
    assert recorded_of_all() == WHOLE


@one_server
def test_away_it_says_so_and_what_is_sent_again_counts_once(everybodys: Client, proxy: Proxy) -> None:
    proxy.down = True
    answer = post(everybodys, many(), "a-key")
    assert "same Idempotency-Key" in problem(answer, 503)
    assert answer["retry-after"] == "5"
    proxy.down = False
    assert post(everybodys, many(), "a-key").json() == {
        "accepted": 1_000,
        "rejected": [],
        "rejected_count": 0,
        "repeated": False,
    }
    assert recorded_of_all() == WHOLE


@one_server
def test_a_batch_whose_answers_are_lost_again_and_again_counts_once(everybodys: Client, proxy: Proxy) -> None:
    statuses = []
    for number in range(12):
        proxy.cut_answer = proxy.cut_request = 0.45
        while True:
            answer = post(everybodys, many(), f"key-{number}")
            statuses.append(answer.status_code)
            if answer.status_code == 202:
                break
            problem(answer, 503)
            proxy.cut_answer = proxy.cut_request = proxy.cut_answer - 0.05
        proxy.calm()
        assert recorded_of_all() == (1_000 * (number + 1), WHOLE[1] * (number + 1))
    assert 503 in statuses
    assert proxy.faults > 20


@pytest.fixture
def half(valkey: redis.Redis, redis_url: str, settings: Any) -> Iterator[str]:
    """A user of the hot store who may not write to the shard of one tenant, though to all others; returns the tenant."""
    store = HotStore.from_conf()
    closed = shard_of(TENANTS[0], store.shards)
    recorder.recorder()  # what this process records besides goes to every shard
    opened = [f"~{settings.MONITORING_KEY_PREFIX}:{{{shard}}}:*" for shard in range(store.shards) if shard != closed]
    valkey.execute_command("ACL", "SETUSER", "half", "reset", "on", ">half", "+@all", *opened)
    address = urlsplit(redis_url)
    settings.REDIS_URL = redis_url.replace(address.netloc, f"half:half@{address.hostname}:{address.port}")
    yield TENANTS[0]
    settings.REDIS_URL = redis_url
    valkey.execute_command("ACL", "DELUSER", "half")


@one_server
def test_of_a_batch_that_is_half_applied_the_rest_is_completed_with_the_times_of_the_first_try(
    everybodys: Client, half: str, redis_url: str, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = HotStore.from_conf()
    soon = (datetime.now(UTC) + timedelta(minutes=61)).isoformat()
    settings.MONITORING_RETENTION_DAY_DAYS = 4_000
    old = time.time() - MAX_PAST_SECONDS + 3
    oldest = row(tenant=half, timestamp=datetime.fromtimestamp(old, UTC).isoformat(), processing_time_ms=0)
    rows = [*many(100), row(tenant=TENANTS[1], timestamp=soon), oldest]
    key = next(f"k-{n}" for n in range(100) if shard_of(name_of(f"k-{n}"), store.shards) != shard_of(half, store.shards))
    problem(post(everybodys, rows, key), 503)
    settings.REDIS_URL = redis_url
    assert 0 < recorded_of_all()[0] < 100
    assert recorded(half) == 0
    eventually("it lies too far back by now", lambda: old + MAX_PAST_SECONDS < time.time())
    later = time.time() + 180
    monkeypatch.setattr(time, "time", lambda: later)
    answer = post(everybodys, rows, key)
    # What lay too far ahead at the first try does so at the second: its shard takes no more of the chunk. What did not lie
    # too far back at the first does not at the second.
    assert (answer.json()["accepted"], answer.json()["rejected_count"], answer.json()["repeated"]) == (101, 1, False)
    assert recorded_of_all() == (101, sum(100_000 + 1_000 * n for n in range(100)))
    store = HotStore.from_conf()
    found = store.read_tenant(store.backlogs(range(store.shards)), half)
    (first, one), (second, rest) = sorted((batch.minute, held.fields["i:n"]) for batch, held in found)
    assert (first, one, rest) == (old // 60, 1, 9)
    assert second < later // 60 - 1, "the rest counts when the first part did"
    assert post(everybodys, rows, key).json()["repeated"] is True


def name_of(key: str) -> str:
    """Of a key of the one token of all, in the hot store."""
    token = ApiToken.objects.get()
    return ingestion._digest(f"{token.pk} {token.tenant}", key)


def test_what_is_refused_for_good_is_told_and_told_again_and_the_rest_counts(
    everybodys: Client, valkey: redis.Redis, settings: Any
) -> None:
    store = HotStore.from_conf()
    shard = shard_of(TENANTS[0], store.shards)
    own = [tenant for tenant in TENANTS if shard_of(tenant, store.shards) == shard]
    broken = f"{settings.MONITORING_KEY_PREFIX}:{{{shard}}}:sealed"
    post(everybodys, row(tenant=TENANTS[0]))
    valkey.set(broken, "no hash")
    (batch_key,) = valkey.scan_iter(f"*{{{shard}}}:b:*:r")
    valkey.set(batch_key, "another run")  # so that the open batch is sealed, where there is no place for it
    for _ in range(2):
        assert "refuses a part" in problem(post(everybodys, many(), "a-key"), 500)
    valkey.delete(broken)
    valkey.set(batch_key, "another run")
    assert recorded_of_all()[0] >= 1_000 - len(own) * 84
    assert all(recorded(tenant) in {83, 84} for tenant in TENANTS if tenant not in own)
    problem(post(everybodys, many(), "a-key"), 500)
    recorder.flush_now()
    assert fields(everything(store), GLOBAL)["me\x1fbatches_refused:n"] >= 1


def test_it_is_counted_that_a_batch_was_not_confirmed(everybodys: Client, redis_url: str, settings: Any) -> None:
    counters = recorder.recorder().flusher.counters
    settings.REDIS_URL = f"redis://127.0.0.1:{NOBODY_LISTENS}/0"
    problem(post(everybodys, many(10), "a-key"), 503)
    settings.REDIS_URL = redis_url
    assert counters["batches_unconfirmed"] == 1


def test_a_batch_that_was_half_applied_is_completed_although_its_lines_have_become_too_old(
    agent: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MONITORING_RETENTION_DAY_DAYS = 1
    moment = time.time()
    monkeypatch.setattr(time, "time", lambda: moment)
    rows = [row(n, timestamp=datetime.fromtimestamp(moment - 86_399, UTC).isoformat()) for n in range(2 * ingestion.CHUNK)]
    own, calls = HotStore.apply, iter(range(9))

    def breaks_at_the_second(store: HotStore, *given: Any) -> Any:
        if next(calls) == 1:
            raise redis.ConnectionError("gone")
        return own(store, *given)

    monkeypatch.setattr(HotStore, "apply", breaks_at_the_second)
    assert problem(post(agent, rows, "a-key"), 503)
    assert recorded() == ingestion.CHUNK
    moment += 60
    assert problem(post(agent, rows, "another-key"), 400)
    assert post(agent, rows, "a-key").json()["accepted"] == len(rows)
    assert recorded() == len(rows)
