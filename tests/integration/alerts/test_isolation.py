"""What goes wrong with one rule is that rule's, what goes wrong with the machinery is nobody's; and neither loses a minute."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from django.db import OperationalError, connection

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.models import AlertRule, AlertState
from apps.monitoring.status import status
from tests.integration.alerts.judged import (
    SLOW,
    answered,
    channel,
    end_of,
    everything,
    forget,
    history,
    mixed,
    play,
    rule,
    several_rules,
)
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


@contextmanager
def when_written(bad: AlertRule, does: str) -> Iterator[None]:
    """Postgres does something of its own when a state of the rule is written."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            f"IF NEW.rule_id = {bad.pk} THEN {does}; END IF; RETURN NEW; END $$"
        )
        cursor.execute("CREATE TRIGGER trouble BEFORE INSERT ON monitoring_alertstate FOR EACH ROW EXECUTE FUNCTION trouble()")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER trouble ON monitoring_alertstate; DROP FUNCTION trouble()")


def test_a_rule_whose_statements_take_too_long_is_in_error_and_stops_no_other(settings: Any) -> None:
    channel()
    settings.MONITORING_RULE_TIMEOUT_SECONDS = 0.3
    bad, _ = rule("bad"), rule("slow")
    with when_written(bad, "PERFORM pg_sleep(20)"):
        (report,) = play({0: answered(SLOW)}, until=1)
    assert report.minutes == 1
    assert history("slow") == [(0, "firing", True)] != history("bad")
    bad.refresh_from_db()
    assert "statement timeout" in bad.error


@pytest.mark.parametrize("state", ["53100", "53200", "54000", "55P03", "57014"])
def test_what_a_rule_asks_too_much_of_is_the_rules_error(state: str) -> None:
    channel()
    bad, _ = rule("bad"), rule("slow")
    with when_written(bad, f"RAISE EXCEPTION 'too much' USING ERRCODE = '{state}'"):
        play({0: answered(SLOW)}, until=1)
    assert history("slow") == [(0, "firing", True)]
    bad.refresh_from_db()
    assert "too much" in bad.error


@pytest.mark.parametrize("state", ["40001", "40P01", "57P01", "08006"])
def test_what_befalls_a_transaction_or_the_server_is_no_rules_error(state: str) -> None:
    channel()
    bad, _ = rule("bad"), rule("slow")
    with when_written(bad, f"RAISE EXCEPTION 'again' USING ERRCODE = '{state}'"):
        send(*answered(SLOW))
        roll_up(end_of(0))
        with pytest.raises(OperationalError):
            evaluate(end_of(0))
    assert not AlertRule.objects.exclude(error="").exists()
    assert evaluate(end_of(0)).minutes == 1
    assert history("bad") == history("slow") == [(0, "firing", True)]


def test_a_rule_that_spoils_the_common_read_is_found_and_left_out_of_it(caplog: pytest.LogCaptureFixture) -> None:
    channel()
    bad, _, _ = rule("bad"), rule("slow"), rule("slower", threshold=6_000.0)
    AlertRule.objects.filter(pk=bad.pk).update(window_minutes=2_000_000_000)
    for offset in range(2):
        caplog.clear()
        play({offset: answered(SLOW, offset=offset)}, until=offset + 1, start=offset)
        spoilt = [record for record in caplog.records if "cannot be read together" in record.message]
        assert len(spoilt) == (1 if offset == 0 else 0)
    assert set(AlertRule.objects.exclude(error="").values_list("name", flat=True)) == {"bad"}
    assert history("slow") == history("slower") == [(0, "firing", True)]


def test_the_time_limit_of_the_worker_is_no_rules_error_and_the_minute_is_judged_again() -> None:
    channel()
    rule("innocent")
    send(*answered(SLOW))
    roll_up(end_of(0))

    def too_long(*_: object) -> None:  # what Celery does at the signal
        raise SoftTimeLimitExceeded

    def late(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django calls it so
        if sql.startswith('INSERT INTO "monitoring_notification"'):
            os.kill(os.getpid(), signal.SIGUSR1)
        return execute(sql, params, many, context)

    before = signal.signal(signal.SIGUSR1, too_long)
    try:
        with connection.execute_wrapper(late), pytest.raises(SoftTimeLimitExceeded):
            evaluate(end_of(0))
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert AlertRule.objects.get().error == ""
    assert history("innocent") == []
    evaluate(end_of(0))
    assert history("innocent") == [(0, "firing", True)]


def test_a_catch_up_that_ends_when_its_time_is_over_goes_on_and_gives_the_same(settings: Any) -> None:
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9
    several_rules()
    for again in (False, True):
        for offset in range(8):
            send(*mixed()[offset])
        roll_up(end_of(7))
        if not again:
            assert evaluate(end_of(7)).minutes == 8
            at_once = everything()
            forget()
    assert [evaluate(end_of(7), budget=0).minutes for _ in range(9)] == [1] * 8 + [0]
    assert everything() == at_once


def test_a_broken_rule_that_is_switched_off_is_no_problem_any_more() -> None:
    bad, _ = rule("bad"), rule("slow")
    AlertRule.objects.filter(pk=bad.pk).update(metric="no_such_metric")
    play({0: answered(SLOW)}, until=1)

    def problems() -> list[str]:
        return [problem for problem in status(datetime.now(UTC)).problems if "rule" in problem]

    assert problems() == ["rule bad is in error; see it in the admin"]
    AlertRule.objects.filter(pk=bad.pk).update(enabled=False)
    assert problems() == []
    play({1: answered(SLOW, offset=1)}, until=2, start=1)
    bad.refresh_from_db()
    assert (bad.error, bad.error_since) == ("", None)


def test_a_switched_off_rule_that_cannot_end_what_it_left_stays_in_error() -> None:
    channel()
    bad = rule("bad")
    play({0: answered(SLOW)}, until=1)
    AlertRule.objects.filter(pk=bad.pk).update(enabled=False, severity="x" * 8)
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE monitoring_notification ADD CONSTRAINT nobody CHECK (attempts < 0) NOT VALID")
    try:
        play({1: answered(SLOW, offset=1)}, until=3, start=1)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE monitoring_notification DROP CONSTRAINT nobody")
    bad.refresh_from_db()
    assert bad.error
    assert AlertState.objects.exists()
