"""An evaluation that is killed, or whose database goes away: what the next run leaves is what an undisturbed one leaves."""

from __future__ import annotations

import signal
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.models import AlertRule, EvaluationProgress
from apps.monitoring.rollup import locks
from tests.e2e.parts import environment_of_tests
from tests.faults.test_rollup_killed import noticed, process
from tests.integration.alerts.judged import end_of, everything, forget, mixed, several_rules
from tests.integration.rollup.stored import roll_up, send
from tests.patience import eventually

pytestmark = pytest.mark.usefixtures("stores")

MINUTES = 8
NOW = end_of(MINUTES - 1)


def prepare() -> None:
    for offset in range(MINUTES):
        send(*mixed()[offset])
    roll_up(NOW)


def undisturbed() -> dict[str, list[Any]]:
    several_rules()
    prepare()
    evaluate(NOW)
    wanted = everything()
    forget()
    prepare()
    return wanted


@pytest.mark.parametrize(
    ("point", "nth"),
    [
        ("after COPY monitoring_alertstate", 2),  # a state, and not its history
        ('after INSERT INTO "monitoring_notification"', 2),
        ('after UPDATE "monitoring_evaluationprogress"', 5),  # everything of a minute, and it is not committed
    ],
)
def test_the_next_run_leaves_what_an_undisturbed_one_leaves(point: str, nth: int) -> None:
    wanted = undisturbed()
    dying = process(point, nth, NOW)
    _, said = dying.communicate(timeout=60)
    assert dying.returncode == -signal.SIGKILL, said
    noticed()
    assert everything() != wanted
    evaluate(NOW)
    assert everything() == wanted


def test_a_database_that_goes_away_is_not_a_rules_error_and_the_minute_is_judged_again() -> None:
    wanted = undisturbed()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        own = cursor.fetchone()[0]
    left = 100  # in the third minute or so

    def cut(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:  # noqa: FBT001 - Django calls it so
        nonlocal left
        left -= 1
        if left == 0:
            with psycopg.connect(environment_of_tests()["DATABASE_URL"], autocommit=True) as other:
                other.execute("SELECT pg_terminate_backend(%s)", [own])
        return execute(sql, params, many, context)

    with connection.execute_wrapper(cut), pytest.raises(OperationalError):
        evaluate(NOW)
    connection.close()
    noticed()
    assert not AlertRule.objects.exclude(error="").exists()
    assert EvaluationProgress.objects.exists()
    evaluate(NOW)
    assert everything() == wanted


def test_of_several_processes_at_once_one_judges_and_the_history_is_that_of_one() -> None:
    wanted = undisturbed()
    with psycopg.connect(environment_of_tests()["DATABASE_URL"], autocommit=True) as other:
        other.execute("SELECT pg_advisory_lock(%s, 0)", [locks._JUDGING])
        running = [process("", 0, NOW) for _ in range(3)]
        # The one that is the first waits for its turn to judge, the others leave it alone.
        eventually("two of three have ended", lambda: sum(one.poll() is not None for one in running) == 2, 60)
        assert not EvaluationProgress.objects.exists()
        other.execute("SELECT pg_advisory_unlock(%s, 0)", [locks._JUDGING])
        said = [one.communicate(timeout=60)[1] for one in running]
    assert [one.returncode for one in running] == [0, 0, 0], said
    noticed()
    assert everything() == wanted
