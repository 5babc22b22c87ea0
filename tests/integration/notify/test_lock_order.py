"""Whoever waits to tell something holds no row that somebody who tells could wait for: else Postgres ends one of the two."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from django.db import connection
from django.utils import timezone

from apps.monitoring.alerts.rulefile.apply import apply
from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import delivery, fallback
from apps.monitoring.notify.channels.outcome import Delivered, Rejected
from apps.monitoring.notify.delivery import Report
from apps.monitoring.rollup import locks
from tests.integration.alerts.judged import FAST, SLOW, answered, play, rule
from tests.integration.rollup.purged import session
from tests.patience import eventually
from tests.sessions import somebody_waits_for_a_lock

pytestmark = pytest.mark.usefixtures("stores")


def its_end() -> Notification:
    """The end of an alert whose beginning was copied to a fallback, on the channel that was late."""
    return Notification.objects.get(kind="resolved", channel__name="hook")


def delivers() -> None:
    Notification.objects.filter(kind="resolved").exclude(channel__name="hook").delete()  # so that there is something to tell
    delivery._record(its_end(), Delivered(), timezone.now(), Report())


def gives_up() -> None:
    delivery._record(its_end(), Rejected("no"), timezone.now(), Report())


def gives_up_what_waited() -> None:
    assert delivery._give_up_waiting(its_end(), timezone.now())


def deletes() -> None:
    AlertRule.objects.get().delete()


def prunes() -> None:
    assert apply([], prune=True)


@pytest.mark.parametrize("does", [delivers, gives_up, gives_up_what_waited, deletes, prunes])
def test_who_waits_to_tell_holds_no_row(does: Callable[[], None]) -> None:
    duty = Channel.objects.create(name="duty", kind="log")
    Channel.objects.create(name="hook", kind="log", is_default=True, fallback=duty, fallback_after_minutes=0)
    rule()
    play({0: answered(SLOW)}, until=1)
    assert fallback.sweep(timezone.now()) == 1
    play({1: answered(FAST, offset=1)}, until=2, start=1)
    failed: list[BaseException] = []

    def run() -> None:
        try:
            does()
        except BaseException as error:
            failed.append(error)
        finally:
            connection.close()

    doing = threading.Thread(target=run)
    with session() as telling:
        telling.execute("SELECT pg_advisory_xact_lock(%s, 0)", [locks._TELLING])
        doing.start()
        eventually("it waits to tell", somebody_waits_for_a_lock)
        for table in ("alertrule", "channel", "notification"):
            telling.execute(f"SELECT FROM monitoring_{table} FOR NO KEY UPDATE NOWAIT")
    doing.join()
    assert failed == []
