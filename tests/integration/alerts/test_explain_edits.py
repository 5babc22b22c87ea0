"""Explain judges by what there was when a minute was judged: rules, channels, silences and mute windows of then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

import pytest

from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.alerts.explain import explain
from apps.monitoring.alerts.explanation import as_json
from apps.monitoring.alerts.silences import expire
from apps.monitoring.core.clock import isoformat, to_datetime
from apps.monitoring.core.lifecycle import Status
from apps.monitoring.models import (
    Alert,
    AlertRule,
    AlertTransition,
    AuditEntry,
    Judging,
    MuteWindow,
    Silence,
)
from tests.integration.alerts.explaining import agrees, changed, course, edited, text, waited
from tests.integration.alerts.judged import SLOW, answered, channel, end_of, judged_at, play, rule
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send

pytestmark = pytest.mark.usefixtures("stores")


class TestOfARuleThatIsEditedWhileMinutesWaitToBeJudged:
    def test_they_are_explained_by_the_rule_that_judged_them(self) -> None:
        one = rule(threshold=5_000)
        waited(4)
        changed(one, end_of(2) + 20, threshold=20_000)
        evaluate(end_of(3))
        judged_at(end_of(3) + 1)
        for offset in range(4):
            found = agrees(one, "acme", MINUTE + offset)
            assert (found.rule.threshold, found.events) == (20_000, []), offset
        waiting = explain(one, "acme", MINUTE + 1)
        (said,) = waiting.remarks
        assert said == (
            "The minute was judged at 2026-01-05T00:04:07Z by the rule as it had been edited by then, "
            "at 2026-01-05T00:03:26Z by ops."
        )
        assert text(waiting, "Judged") == "at 2026-01-05T00:04:07Z, 127 s after the minute had ended"
        assert as_json(waiting)["judged_at"] == "2026-01-05T00:04:07Z"
        changed(one, end_of(5), threshold=1, by="somebody else")
        assert explain(one, "acme", MINUTE + 1).rule.threshold == 20_000

    def test_an_edit_in_the_seconds_before_the_judging_counts_and_one_after_it_does_not(self) -> None:
        one = rule(threshold=5_000)
        play(course("S"), until=1)
        send(*answered(SLOW, offset=1))
        roll_up(end_of(1))
        changed(one, end_of(1) + 9, threshold=20_000)
        evaluate(end_of(1) + 10)
        judged_at(end_of(1) + 10)
        changed(one, end_of(1) + 11, threshold=30_000)
        then = explain(one, "acme", MINUTE + 1)
        assert (then.rule.threshold, then.events[0].state, then.differences) == (20_000, Status.RESOLVED, [])
        assert [edit.at for edit in then.edits] == [datetime.fromtimestamp(end_of(1) + 11, UTC)]
        assert explain(one, "acme", MINUTE).rule.threshold == 5_000

    def test_what_else_it_judges_is_measured_as_it_was(self) -> None:
        one = rule(statistic="max", window_minutes=1)
        waited(3)
        changed(one, end_of(1) + 20, statistic="count", threshold=1.5, window_minutes=2)
        evaluate(end_of(2))
        judged_at(end_of(2))
        found = agrees(one, "acme", MINUTE + 1)
        assert (found.seen.value, found.events[0].state) == (2, Status.FIRING)
        assert found.looked_at == [(MINUTE, MINUTE + 2)]

    def test_channels_and_acknowledgements_are_of_that_moment_too(self) -> None:
        one, log = rule(cooldown_minutes=1), channel()
        play(course("S"), until=1)
        send(*(event for offset in (1, 2, 3) for event in answered(SLOW, offset=offset)))
        roll_up(end_of(3))
        assert acknowledge([Alert.objects.get().pk], None, datetime.fromtimestamp(end_of(3) + 1, UTC))
        evaluate(end_of(3) + 2)
        judged_at(end_of(3) + 2)
        assert agrees(one, "acme", MINUTE + 1).before.acknowledged
        edited(log, 5, enabled=False)
        assert agrees(one, "acme", MINUTE + 2).hold is None

    def test_an_acknowledgement_is_of_what_was_told_until_then(self) -> None:
        one, _ = rule(cooldown_minutes=4), channel()
        play(course("S"), until=1)
        changed(one, end_of(0) + 10, severity="critical")
        play(course("SS"), until=2, start=1)
        assert acknowledge([Alert.objects.get().pk], None, datetime.fromtimestamp(end_of(1) + 1, UTC))
        changed(one, end_of(1) + 10, severity="warning")
        play(course("SSSSSS"), until=6, start=2)
        assert agrees(one, "acme", MINUTE + 4).before.acknowledged == "warning"

    def test_a_rule_that_was_made_after_a_minute_was_judged_did_not_judge_it(self) -> None:
        first = rule("first")
        play(course("SS"), until=2)
        later = rule()
        AuditEntry.objects.filter(object_id=later.pk).update(at=datetime.fromtimestamp(end_of(1) + 5, UTC))
        play(course("..S"), until=3, start=2)
        found = explain(later, "acme", MINUTE + 1)
        assert found.remarks == [
            "The rule was made at 2026-01-05T00:02:11Z, after this minute was judged: it did not judge it."
        ]
        assert found.conclusion == "Nobody was told: the rule was not made yet."
        assert (found.events, found.differences) == ([], [])
        assert agrees(later, "acme", MINUTE + 2).events[0].state is Status.FIRING
        assert agrees(first, "acme", MINUTE).events[0].state is Status.FIRING


def window(name: str = "nights", **fields: Any) -> MuteWindow:
    """In force from 23:59 to 00:04, so for the minutes 23:58 to 00:02."""
    given = {"rules": ["slow"], "starts": time(23, 59), "ends": time(0, 4), "time_zone": "UTC", **fields}
    one: MuteWindow = MuteWindow.objects.create(name=name, **given)
    return one


def entry_at(offset: int, seconds: float = 20) -> None:
    """As if the last edit had been made so many seconds after the minute at an offset was judged, by ops."""
    last = AuditEntry.objects.latest("id")
    AuditEntry.objects.filter(pk=last.pk).update(at=datetime.fromtimestamp(end_of(offset) + seconds, UTC), actor="ops")


class TestOfWhatHeldBackThen:
    """Six slow minutes under a cooldown of two: a firing, and every other minute a reminder is due."""

    def played(self, one: AlertRule, held: Sequence[str | None]) -> None:
        for offset, reason in enumerate(held):
            assert agrees(one, "acme", MINUTE + offset).hold == reason, offset

    @pytest.fixture
    def one(self) -> AlertRule:
        channel()
        return rule(cooldown_minutes=2)

    def test_a_mute_window_that_was_deleted_since(self, one: AlertRule) -> None:
        nights = window()
        play(course("SSSSSS"), until=6)
        nights.delete()
        entry_at(5)
        self.played(one, ["mute window nights"] * 3 + [None] * 3)
        held = explain(one, "acme", MINUTE + 1)
        assert held.remarks == ["Mute window nights was deleted since, at 2026-01-05T00:06:26Z by ops: it is taken as it was."]
        assert "nothing is due (mute window nights)" in held.conclusion
        assert explain(one, "acme", MINUTE + 5).remarks == []

    def test_a_mute_window_that_was_made_since(self, one: AlertRule) -> None:
        play(course("SSSSSS"), until=2)
        window()
        entry_at(1)
        play(course("SSSSSS"), until=6, start=2)
        self.played(one, [None, None, "mute window nights", None, None, None])
        told = explain(one, "acme", MINUTE)
        assert told.conclusion.startswith("It was told that it fires")
        assert text(told, "Held back") == "nothing"
        assert told.remarks == [
            "Mute window nights was made at 2026-01-05T00:02:26Z by ops, after this minute was judged: it held nothing back."
        ]

    def test_a_mute_window_that_was_moved_and_switched_off(self, one: AlertRule) -> None:
        nights = window()
        play(course("SSSSSS"), until=1)
        nights.starts, nights.ends = time(0, 3), time(0, 5)
        nights.save()
        entry_at(0)
        play(course("SSSSSS"), until=3, start=1)
        nights.enabled = False
        nights.save()
        entry_at(2)
        play(course("SSSSSS"), until=6, start=3)
        self.played(one, ["mute window nights", None, "mute window nights", None, None, None])
        (said,) = explain(one, "acme", MINUTE).remarks
        assert said == "Mute window nights was edited since, first at 2026-01-05T00:01:26Z by ops: it is taken as it was."

    def test_a_silence_that_was_ended_early_and_one_that_means_somebody_else_now(self, one: AlertRule) -> None:
        until = to_datetime(MINUTE + 7)
        silence = Silence.objects.create(rules=["slow"], starts_at=to_datetime(MINUTE), ends_at=until, comment="a test")
        play(course("SSSSSS"), until=2)
        assert expire(silence, datetime.fromtimestamp(end_of(1) + 20, UTC))
        entry_at(1)
        play(course("SSSSSS"), until=4, start=2)
        another = Silence.objects.create(tenants=["acme"], starts_at=to_datetime(MINUTE), ends_at=until, comment="a test")
        entry_at(3)
        play(course("SSSSSS"), until=6, start=4)
        another.tenants = ["birch"]
        another.save()
        entry_at(5)
        another.starts_at, another.ends_at = to_datetime(MINUTE + 1_440), to_datetime(MINUTE + 1_446)
        another.save()
        entry_at(6)
        first, second = (f"silence {own.pk} until {isoformat(MINUTE + 7)}" for own in (silence, another))
        self.played(one, [first, first, None, None, second, second])
        (said,) = explain(one, "acme", MINUTE).remarks[:1]
        assert said == f"Silence {silence.pk} was edited since, first at 2026-01-05T00:02:26Z by ops: it is taken as it was."
        (said,) = explain(one, "acme", MINUTE + 5).remarks
        assert said.startswith(f"Silence {another.pk} was edited since, first at 2026-01-05T00:06:26Z")

    def test_minutes_that_waited_are_held_back_by_what_there_was_when_they_were_judged(self, one: AlertRule) -> None:
        play(course("S"), until=1)
        send(*(event for offset in (1, 2, 3) for event in answered(SLOW, offset=offset)))
        roll_up(end_of(3))
        nights = window()
        entry_at(2)
        evaluate(end_of(3))
        judged_at(end_of(3))
        nights.delete()
        entry_at(4)
        self.played(one, [None, "mute window nights", "mute window nights", None])

    def test_while_nobody_noted_when_a_minute_was_judged_what_was_made_may_have_been_there(self, one: AlertRule) -> None:
        window()
        play(course("SSSSSS"), until=6)
        AuditEntry.objects.filter(kind="mute window").update(at=datetime.fromtimestamp(end_of(5), UTC))
        Judging.objects.all().delete()
        self.played(one, ["mute window nights"] * 3 + [None] * 3)


class TestOfMinutesOfWhichNobodyNotedWhenTheyWereJudged:
    def test_the_history_shows_by_which_edit_they_were_judged(self) -> None:
        one = rule(threshold=20_000)
        waited(3)
        changed(one, end_of(2) + 5, threshold=5_000)
        changed(one, end_of(2) + 8, threshold=30_000)
        changed(one, end_of(2) + 9, threshold=6_000)
        evaluate(end_of(2) + 10)
        Judging.objects.all().delete()
        fired = explain(one, "acme", MINUTE)
        assert (fired.differences, fired.events[0].state) == ([], Status.FIRING)
        (said,) = fired.remarks
        assert said == (
            "The minute was judged late, as the history shows, by the rule as it had been edited by then, "
            "at 2026-01-05T00:03:15Z by ops."
        )
        assert as_json(fired)["judged_at"] is None

    def test_what_no_edit_explains_is_a_difference_and_the_answer_says_what_is_not_known(self) -> None:
        one = rule(threshold=20_000)
        waited(1)
        evaluate(end_of(0))
        Judging.objects.all().delete()
        changed(one, end_of(1), threshold=30_000)
        AlertTransition.objects.create(
            rule=one, rule_name="slow", tenant="acme", minute=to_datetime(MINUTE), state="firing", notified=True, reason="odd"
        )
        odd = explain(one, "acme", MINUTE)
        assert len(odd.differences) == 1
        assert odd.remarks[-1].startswith("When the minute was judged is not known")
        assert text(odd, "Judged").startswith("when is not known")
