"""The status says it when work is begun and never done, and when nobody begins it at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from apps.monitoring.ingest.hotstore import HotStore
from apps.monitoring.models import AlertRule, ShardProgress, TaskRun
from apps.monitoring.rollup import shards
from apps.monitoring.runs import track
from apps.monitoring.status import status
from tests.integration.alerts.judged import rule

NOBODY = "no evaluation has ever finished: is a worker of the queue alerts running?"


@pytest.fixture
def rolled_up(stores: None) -> None:
    shards.roll_up_all(timezone.now().timestamp(), HotStore.from_conf())


def wrong() -> set[str]:
    """Which of the parts that are looked at here; the partitions are those that other tests left."""
    return status(timezone.now()).failing & {"rollup", "evaluation", "tasks"}


def said(of: str) -> list[str]:
    return [problem for problem in status(timezone.now()).problems if of in problem]


@pytest.mark.usefixtures("rolled_up")
class TestRulesThatNobodyJudges:
    def test_are_a_problem_once_the_roll_up_is_complete(self) -> None:
        rule()
        assert (wrong(), said("no evaluation")) == ({"evaluation"}, [NOBODY])

    def test_are_one_as_long_as_the_first_evaluation_is_killed(self) -> None:
        rule()
        TaskRun.objects.create(name="evaluate", started_at=timezone.now())
        assert (wrong(), said("no evaluation")) == ({"evaluation"}, [NOBODY])

    def test_are_none_when_there_is_no_data_to_judge(self) -> None:
        rule()
        with track("evaluate"):
            pass
        assert wrong() == set()

    def test_are_none_when_no_rule_is_enabled(self) -> None:
        rule()
        AlertRule.objects.update(enabled=False)
        assert wrong() == set()

    def test_are_not_what_is_wrong_before_the_first_roll_up(self) -> None:
        rule()
        ShardProgress.objects.all().delete()
        assert wrong() == {"rollup"}


@pytest.mark.usefixtures("rolled_up")
@pytest.mark.parametrize(
    ("name", "limit"), [("evaluate", 5), ("sweep_notifications", 5), ("compaction", 20), ("maintenance", 120)]
)
class TestATask:
    """Its limit is in minutes."""

    def begun(self, name: str, ago: int, finished: int | None) -> None:
        now = timezone.now()
        TaskRun.objects.create(
            name=name,
            started_at=now - timedelta(seconds=5),
            succeeded_at=None if finished is None else now - timedelta(minutes=finished),
        )
        TaskRun.objects.update(created_at=now - timedelta(minutes=ago))

    def test_that_is_killed_each_time_is_a_problem_although_it_is_begun_anew(self, name: str, limit: int) -> None:
        self.begun(name, ago=9_999, finished=limit + 1)
        (problem,) = said(f"task {name}")
        assert problem.startswith(f"task {name} is begun and has not finished for {(limit + 1) * 60} s")

    def test_that_has_never_finished_is_one_too(self, name: str, limit: int) -> None:
        self.begun(name, ago=limit + 1, finished=None)
        assert wrong() == {"tasks"}

    def test_that_is_under_way_is_none(self, name: str, limit: int) -> None:
        self.begun(name, ago=limit - 1, finished=None)
        assert wrong() == set()
        TaskRun.objects.all().delete()
        self.begun(name, ago=9_999, finished=limit - 1)
        assert wrong() == set()
