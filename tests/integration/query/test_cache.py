"""Many who ask for the same at once are one reading; nobody gets another tenant's answer, an old one, or an old error."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from apps.monitoring.core.clock import to_datetime
from apps.monitoring.query import cache
from apps.monitoring.query.summary import shared
from tests.integration.ingest.hot import MINUTE, interaction
from tests.integration.rollup.stored import send


@pytest.fixture(autouse=True)
def kept(settings: Any) -> Iterator[None]:
    settings.MONITORING_READ_CACHE_SECONDS = 600.0
    cache._begin_anew()
    yield
    cache._begin_anew()


class Counted:
    def __init__(self, error: Exception | None = None) -> None:
        self.times = 0
        self.error = error
        self.asked, self.go = threading.Event(), threading.Event()

    def __call__(self) -> int:
        self.times += 1
        self.asked.set()
        assert self.go.wait(20)
        if self.error is not None:
            raise self.error
        return self.times


def together(compute: Counted, askers: int = 8) -> list[Any]:
    """What each of several threads gets that ask while the first one's answer is computed."""
    answers: list[Any] = []

    def ask() -> None:
        try:
            answers.append(cache.once("key", compute))
        except ValueError as error:
            answers.append(error)

    threads = [threading.Thread(target=ask) for _ in range(askers)]
    threads[0].start()
    assert compute.asked.wait(20)
    for thread in threads[1:]:
        thread.start()
    time.sleep(0.1)  # so that most of them wait; right also when none does
    compute.go.set()
    for thread in threads:
        thread.join()
    return answers


def test_those_who_ask_at_once_share_one_computation() -> None:
    compute = Counted()
    assert together(compute) == [1] * 8
    assert compute.times == 1


def test_an_error_is_shared_by_those_who_waited_and_not_kept(settings: Any) -> None:
    broken = ValueError("the database is away")
    assert set(together(Counted(broken))) == {broken}
    assert cache.once("key", lambda: "back") == "back"


def test_an_answer_is_kept_until_it_is_too_old(settings: Any) -> None:
    assert cache.once("key", lambda: 1) == 1
    assert cache.once("key", lambda: 2) == 1
    assert cache.once("other", lambda: 3) == 3
    settings.MONITORING_READ_CACHE_SECONDS = 1e-9
    assert cache.once("key", lambda: 4) == 4
    settings.MONITORING_READ_CACHE_SECONDS = 0
    assert cache.once("key", lambda: 5) == 5


def test_an_answer_may_be_good_for_longer_than_others(settings: Any) -> None:
    settings.MONITORING_READ_CACHE_SECONDS = 1e-9
    assert [cache.once("key", lambda: 1, 600.0), cache.once("other", lambda: 2)] == [1, 2]
    assert [cache.once("key", lambda: 3, 600.0), cache.once("other", lambda: 4)] == [1, 4]


def test_it_does_not_grow_without_bound() -> None:
    for number in range(cache._MOST + 100):
        cache.once(number, lambda: None)
    assert len(cache._flights) == cache._MOST
    assert cache.once(0, lambda: "anew") == "anew"


def test_a_forked_child_does_not_wait_for_a_thread_that_it_does_not_have() -> None:
    compute = Counted()
    thread = threading.Thread(target=lambda: cache.once("key", compute))
    thread.start()
    assert compute.asked.wait(20)
    with cache._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if cache.once("key", lambda: 7) == 7 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    compute.go.set()
    thread.join()


@pytest.mark.usefixtures("stores")
def test_a_summary_is_that_of_its_tenant_and_of_its_minutes() -> None:
    send(interaction(0, "acme"), interaction(0, "bolt"), interaction(1, "bolt"))

    def total(tenant: str | None, minutes: int = 1) -> int:
        return int(shared(tenant, to_datetime(MINUTE), to_datetime(MINUTE + minutes))["interactions"]["total"])

    assert [total("acme"), total("bolt"), total(None)] == [1, 2, 3]
    send(interaction(5, "acme"))
    assert [total("acme"), total("bolt"), total(None), total("acme", 2)] == [1, 2, 3, 2]


def test_answers_that_nobody_is_given_any_more_take_no_memory(settings: Any) -> None:
    settings.MONITORING_READ_CACHE_SECONDS = 0.05
    for number in range(20):
        cache.once(("a", number), lambda: b"x" * 1_000)
    time.sleep(0.06)
    under_way, go = threading.Event(), threading.Event()
    slow = threading.Thread(target=lambda: cache.once("slow", lambda: (under_way.set(), go.wait(20))))
    slow.start()
    assert under_way.wait(20)
    assert set(cache._flights) == {"slow"}
    time.sleep(0.06)
    cache.once("b", lambda: 1)
    assert set(cache._flights) == {"slow", "b"}, "what is being computed is waited for"
    go.set()
    slow.join()
