"""Which minutes are judged, and when: each once, in their order, after an outage too."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.core.clock import to_datetime, to_minute
from apps.monitoring.ingest.hotstore import HotStore, shard_of
from apps.monitoring.models import AlertTransition, EvaluationProgress, Judging, Notification
from apps.monitoring.rollup import shards
from tests.integration.alerts.judged import (
    FAST,
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
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


def test_a_minute_is_judged_once() -> None:
    channel()
    rule()
    play({0: answered(SLOW)}, until=1)
    before = everything()
    assert evaluate(end_of(0)).minutes == 0
    assert evaluate(end_of(0) + 20).minutes == 0
    assert everything() == before


def test_a_minute_that_one_shard_has_not_finished_is_not_judged() -> None:
    channel(), rule()
    send(*answered(SLOW))
    store, own = HotStore.from_conf(), shard_of("acme", 8)
    for shard in range(8):
        if shard != own:
            shards.roll_up(shard, end_of(0), store)
    assert evaluate(end_of(0)).minutes == 0
    assert history() == []
    shards.roll_up(own, end_of(0), store)
    assert evaluate(end_of(0)).minutes == 1
    assert history() == [(0, "firing", True)]


def test_before_anything_was_recorded_there_is_nothing_to_judge() -> None:
    rule()
    assert evaluate(end_of(0)).until is None
    roll_up(end_of(0))
    assert evaluate(end_of(0)).until is None
    assert not EvaluationProgress.objects.exists()


def test_catching_up_after_an_outage_gives_what_an_undisturbed_run_gives(settings: Any) -> None:
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9
    several_rules()
    play(mixed(), until=25)
    undisturbed = everything()
    assert len(undisturbed["history"]) > 20
    forget()
    for offset, events in mixed().items():
        send(*events)
        if offset % 6 == 5:
            roll_up(end_of(offset))
    roll_up(end_of(24))
    report = evaluate(end_of(24))
    assert report.minutes == 25
    assert everything() == undisturbed


def test_catching_up_in_pieces_gives_the_same(settings: Any) -> None:
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9
    several_rules()
    for events in mixed().values():
        send(*events)
    roll_up(end_of(24))
    evaluate(end_of(24))
    at_once = everything()
    forget()
    for events in mixed().values():
        send(*events)
    for offset in (3, 4, 11, 24):
        roll_up(end_of(offset))
        evaluate(end_of(24))
    assert everything() == at_once


def test_several_evaluators_at_once_judge_each_minute_once() -> None:
    several_rules()
    for events in mixed().values():
        send(*events)
    roll_up(end_of(24))
    reports, errors, start = [], [], threading.Barrier(4)

    def work() -> None:
        try:
            start.wait()
            reports.extend(evaluate(end_of(24)) for _ in range(2))
        except BaseException as error:
            errors.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert sum(report.minutes for report in reports) == 25
    together = everything()
    forget()
    for events in mixed().values():
        send(*events)
    roll_up(end_of(24))
    evaluate(end_of(24))
    assert everything() == together


def test_a_minute_that_is_judged_too_late_goes_to_the_history_and_notifies_nobody(settings: Any) -> None:
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 900
    channel()
    rule(cooldown_minutes=0)
    send(*answered(SLOW), *answered(FAST, offset=1), *answered(SLOW, offset=10))
    roll_up(end_of(10))
    evaluate(end_of(10) + 500)  # the last minute is 8 minutes old, the first 18
    assert [(minute, state, told) for minute, state, told in history()] == [
        (0, "firing", False),
        (1, "resolved", False),
        (10, "firing", True),
    ]
    assert "18 minutes late, the limit is 15" in AlertTransition.objects.earliest("minute").reason
    assert Notification.objects.count() == 1


def test_what_began_unnoticed_in_an_outage_and_still_lasts_is_told() -> None:
    channel()
    rule()
    for offset in range(30):
        send(*answered(SLOW, offset=offset))
    roll_up(end_of(29))
    evaluate(end_of(29))
    (first, *_) = Notification.objects.order_by("minute")
    assert first.kind == "firing"
    assert to_minute(first.minute) == MINUTE + 15


def test_a_stretch_without_data_is_passed_over_at_once() -> None:
    channel(), rule(window_minutes=2)
    send(*answered(FAST), *answered(SLOW, offset=500))
    roll_up(end_of(501))
    report = evaluate(end_of(501))
    assert report.minutes < 10
    assert history() == [(500, "firing", True)]


def test_it_is_noted_once_when_each_minute_was_judged() -> None:
    rule()
    play({0: answered(SLOW), 1: answered(FAST, offset=1)}, until=2)
    send(*answered(FAST, offset=40), *answered(FAST, offset=41))
    roll_up(end_of(50))
    before = timezone.now()
    evaluate(end_of(50))
    noted = [(to_minute(one.start) - MINUTE, to_minute(one.until) - MINUTE) for one in Judging.objects.order_by("start")]
    assert noted[0][0] == 0
    assert [end for _, end in noted[:-1]] == [start for start, _ in noted[1:]]
    assert noted[-1][1] == 51
    assert (1, 2) in noted
    assert any(end - start > 30 for start, end in noted), "nobody looked at the minutes without data"
    assert all(before < one.at < timezone.now() for one in Judging.objects.filter(start__gt=to_datetime(MINUTE + 2)))
    EvaluationProgress.objects.update(next_minute=to_datetime(MINUTE + 40))
    evaluate(end_of(50))  # somebody has set it back
    assert Judging.objects.filter(start=to_datetime(MINUTE + 40)).count() == 1


def test_late_records_change_the_snapshots_and_not_what_was_judged() -> None:
    channel()
    rule()
    play({0: answered(FAST)}, until=1)
    play({1: [*answered(SLOW, offset=0), *answered(FAST, offset=1)]}, until=2, start=1)
    assert history() == []
