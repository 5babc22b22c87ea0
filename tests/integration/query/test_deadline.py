"""What one request asks of the database ends when its time is over."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from django.db import OperationalError, connection, transaction

from apps.monitoring.query.binary import fetch
from apps.monitoring.query.deadline import Deadline, SlowError

pytestmark = pytest.mark.django_db(transaction=True)


def sleep(seconds: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [seconds])


def sleep_binary(seconds: float) -> None:
    fetch("SELECT pg_sleep(%s)", [seconds])


def limit() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        return str(cursor.fetchone()[0])


@contextmanager
def within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@contextmanager
def too_slow(seconds: float) -> Iterator[None]:
    said = re.escape(f"the database took longer than {seconds:g} s")
    with pytest.raises(SlowError, match=said), Deadline(seconds).statements():
        yield


@pytest.mark.parametrize("ask", [sleep, sleep_binary])
def test_statements_share_the_time_and_the_last_one_is_given_up(ask: Callable[[float], None]) -> None:
    done = []
    with within(2.0), too_slow(0.6):
        for number in range(10):
            ask(0.25)
            done.append(number)
    assert done == [0, 1]


def test_time_that_passes_between_statements_counts() -> None:
    with within(1.5), too_slow(0.3):
        time.sleep(0.4)  # what is not the database takes long
        sleep(5)


def test_there_is_no_limit_any_more_afterwards() -> None:
    with Deadline(0.3).statements():
        assert limit() not in {"0", "300ms"}
    assert limit() == "0"
    with transaction.atomic():
        with Deadline(0.3).statements():
            pass
        assert limit() == "0"
        with too_slow(0.3):
            sleep(1)
        assert limit() == "0"
        sleep(0.4)


def test_a_part_that_took_too_long_leaves_the_transaction_usable() -> None:
    with Deadline(0.3).statements():
        with pytest.raises(OperationalError), transaction.atomic():
            sleep(5)
        assert limit() == "50ms"


def test_a_shorter_limit_of_the_database_stays_and_is_not_taken_for_the_end_of_the_time() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 100")
    try:
        with within(1.0), pytest.raises(OperationalError, match="statement timeout"), Deadline(5).statements():
            sleep(2)
        assert limit() == "100ms"
    finally:
        connection.close()


def test_another_failure_is_told_as_what_it_is() -> None:
    clock = iter([0.0, *[0.5] * 3, *[2.0] * 10])
    ended, deadline = pytest.raises(OperationalError, match="terminating connection"), Deadline(1.0, clock.__next__)
    with ended, deadline.statements(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    connection.close()
