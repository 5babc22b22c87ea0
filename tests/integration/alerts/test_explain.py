"""Explain tells of every minute what evaluation did in it: compared with the history that evaluation wrote."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from apps.monitoring.alerts import defaults
from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.alerts.explain import explain
from apps.monitoring.alerts.explanation import Explanation, as_json, steps
from apps.monitoring.alerts.silences import expire
from apps.monitoring.core.clock import isoformat, to_datetime, to_minute
from apps.monitoring.core.lifecycle import Status
from apps.monitoring.ingest.buffer import Event
from apps.monitoring.models import (
    Alert,
    AlertRule,
    AlertTransition,
    AuditEntry,
    Channel,
    Judging,
    MuteWindow,
    Notification,
    RetentionFloor,
    Silence,
)
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.query.errors import RangeError
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, end_of, history, judged_at, play, rule
from tests.integration.alerts.test_backtest import VARIANTS
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send
from tests.oracle import made

pytestmark = pytest.mark.usefixtures("stores")


def stored(one: AlertRule, tenant: str, minute: int) -> list[tuple[Any, ...]]:
    """What the history has of a minute."""
    lines = AlertTransition.objects.filter(rule=one, tenant=tenant, minute=to_datetime(minute)).order_by("id")
    return [(line.state, line.event == "transition", line.notified, line.value, line.samples, line.reason) for line in lines]


def explained(found: Explanation) -> list[tuple[Any, ...]]:
    """The same as explain finds it anew."""
    seen = found.judged.verdict if found.judged is not None else None
    return [
        (event.state.value, event.changed, event.notice is not None, seen.value, seen.samples, event.reason)
        for event in found.events
        if seen is not None
    ]


def agrees(one: AlertRule, tenant: str, minute: int) -> Explanation:
    found = explain(one, tenant or None, minute)
    assert explained(found) == stored(one, tenant, minute), (one.name, tenant, isoformat(minute))
    assert (found.differences, found.remarks[1:]) == ([], []), (one.name, tenant, isoformat(minute))
    return found


def test_every_line_of_a_rich_history_is_explained_and_so_is_every_minute_in_which_nothing_happened(
    tmp_path: Path, settings: Any
) -> None:
    settings.MONITORING_NOTIFY_MAX_AGE_SECONDS = 10**9  # as if each minute had been judged when it was over
    defaults.create_missing()
    for name, given in VARIANTS.items():
        rule(name, **{"statistic": "p95", "window_minutes": 5, "min_samples": 10, "cooldown_minutes": 15, **given})
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=5)
    start = end - timedelta(minutes=made.MINUTES)
    file = made.write(tmp_path / "made.jsonl")
    call_command("replay", str(file), start=start.isoformat(), speed="max", stdout=io.StringIO())
    roll_up(end.timestamp() + 6)
    evaluate(end.timestamp() + 6)
    lines = AlertTransition.objects.select_related("rule").order_by("rule", "tenant", "minute")
    asked = {(line.rule, line.tenant, to_minute(line.minute)) for line in lines if line.rule is not None}
    assert len(asked) > 150, "this recording says too little to be a test"
    for one, tenant, minute in sorted(asked, key=lambda own: (own[0].pk, *own[1:]))[::5]:
        agrees(one, tenant, minute)
    one = AlertRule.objects.get(name="slow-for-a-while")
    states = {agrees(one, "birch", minute).after.status for minute in range(to_minute(start), to_minute(end), 3)}
    assert states == {Status.INACTIVE, Status.PENDING, Status.FIRING}


def course(pattern: str) -> Mapping[int, Sequence[Event]]:
    """One answer a minute: S is slow, f is fast, a dot is none."""
    return {
        offset: answered(SLOW if kind == "S" else FAST, offset=offset) for offset, kind in enumerate(pattern) if kind != "."
    }


def made_before(one: AlertRule) -> AlertRule:
    """As if the rule had been made before the data, in whose time it is judged."""
    AuditEntry.objects.filter(object_id=one.pk, kind="rule").update(at=to_datetime(MINUTE - 60))
    return one


def text(found: Explanation, title: str) -> str:
    return dict(steps(found))[title]


def test_who_was_told_on_which_channel_is_said_and_whether_it_arrived() -> None:
    one, log = made_before(rule(cooldown_minutes=15)), channel()
    play(course("fS"), until=2)
    fired = agrees(one, "acme", MINUTE + 1)
    assert fired.conclusion == "It was told that it fires; this has not arrived yet on log."
    assert "did not arrive on log yet" in text(fired, "Told")
    Notification.objects.update(last_error="550 no such mailbox", attempts=2)
    assert "2 attempts, last error: 550 no such mailbox" in text(explain(one, "acme", MINUTE + 1), "Told")
    Notification.objects.update(next_attempt_at=datetime.now(UTC))
    deliver_channel(log.pk)
    assert explain(one, "acme", MINUTE + 1).conclusion == "It was told that it fires; this arrived on log."
    assert explain(one, "acme", MINUTE).conclusion == "Nobody was told: 1 samples, no breach, and nothing was open."


def test_a_firing_for_which_there_was_no_channel_says_so_and_so_do_the_minutes_after_it() -> None:
    one = made_before(rule())
    play(course("SSf"), until=3)
    unheard = agrees(one, "acme", MINUTE)
    assert unheard.conclusion == "Nobody was told: 9000 > 5000; held back: no channel is enabled."
    assert text(unheard, "Held back") == "no channel is enabled"
    quiet = agrees(one, "acme", MINUTE + 1)
    assert (quiet.after.status, quiet.events) == (Status.FIRING, [])
    agrees(one, "acme", MINUTE + 2)


def test_a_channel_that_was_switched_off_is_missed_in_every_minute_until_it_is_back() -> None:
    one, log = made_before(rule(cooldown_minutes=2)), channel()
    play(course("SSSSSS"), until=1)
    edited(log, 1, enabled=False)
    play(course("SSSSSS"), until=4, start=1)
    edited(log, 4, enabled=True)
    play(course("SSSSSS"), until=5, start=4)
    assert [line[0] for line in history()] == [0, 2, 4]
    for minute in (1, 2, 3):
        unheard = agrees(one, "acme", MINUTE + minute)
        assert unheard.hold == "no channel is enabled", minute
        assert unheard.after.notified_at == MINUTE
    assert "nothing is due (no channel is enabled)" in agrees(one, "acme", MINUTE + 3).conclusion
    assert agrees(one, "acme", MINUTE + 4).hold is None


def test_a_rule_with_channels_of_its_own_is_not_heard_on_the_default_one() -> None:
    channel()
    with transaction.atomic():
        one = rule()
        one.channels.set([Channel.objects.create(name="off", kind="log", enabled=False)])
    made_before(one)
    play(course("SS"), until=2)
    assert [agrees(one, "acme", MINUTE + minute).hold for minute in (0, 1)] == ["no channel is enabled"] * 2


def edited(channel: Channel, offset: int, **fields: Any) -> None:
    """As if it had been made before the data, and edited before the minute at an offset was judged."""
    AuditEntry.objects.filter(kind="channel", action="created").update(at=to_datetime(MINUTE - 60))
    known = list(AuditEntry.objects.values_list("pk", flat=True))
    for name, value in fields.items():
        setattr(channel, name, value)
    channel.save()
    AuditEntry.objects.exclude(pk__in=known).update(at=datetime.fromtimestamp(end_of(offset - 1) + 20, UTC))


def test_the_cooldown_that_held_it_back_is_named_and_until_when() -> None:
    one = made_before(rule(cooldown_minutes=15))
    channel()
    play(course("SfSSf"), until=5)
    held = agrees(one, "acme", MINUTE + 2)
    assert held.conclusion == (f"Nobody was told: 9000 > 5000; held back: cooldown until {isoformat(MINUTE + 15)}.")
    assert text(held, "Held back") == f"the cooldown, until {isoformat(MINUTE + 15)}"
    assert text(held, "Before") == f"inactive, last told at {isoformat(MINUTE)}"
    assert "still firing, and nothing is due (the cooldown" in agrees(one, "acme", MINUTE + 3).conclusion
    assert agrees(one, "acme", MINUTE + 4).conclusion.endswith("5000; its firing was never announced.")


def test_how_far_a_breach_and_a_recovery_have_come_is_said() -> None:
    one = made_before(rule(for_minutes=2, keep_firing_for_minutes=2, recovery_threshold=1_000))
    channel()
    play(course("SSSff.f"), until=7)
    assert text(agrees(one, "acme", MINUTE + 1), "Lasting") == "breached for 1 of the 2 minutes after which it fires"
    found = agrees(one, "acme", MINUTE + 4)
    assert text(found, "Lasting") == "recovered for 1 of the 2 minutes after which it resolves"
    assert text(found, "Compared") == "100 is not > 5000; it recovers when it is not > 1000: recovered"
    assert text(agrees(one, "acme", MINUTE + 5), "Seen") == "no value from 0 samples, too few: it takes 1"


def test_a_silence_that_held_it_back_is_named_and_an_acknowledgement_that_holds_back_reminders() -> None:
    one = made_before(rule(cooldown_minutes=2))
    channel()
    silence = Silence.objects.create(
        rules=["slow"], starts_at=to_datetime(MINUTE + 2), ends_at=to_datetime(MINUTE + 4), comment="a test"
    )
    play(course("fSSSSSSSS"), until=5)
    held = agrees(one, "acme", MINUTE + 1)
    assert held.hold == f"silence {silence.pk} until {isoformat(MINUTE + 4)}"
    assert held.conclusion.endswith(f"held back: {held.hold}.")
    assert agrees(one, "acme", MINUTE + 3).conclusion.startswith("It was told that it fires")
    alert = Alert.objects.get()
    assert acknowledge([alert.pk], None, datetime.fromtimestamp(end_of(4), UTC)) == [alert.pk]
    play(course("fSSSSSSSS"), until=9, start=5)
    quiet = agrees(one, "acme", MINUTE + 5)
    assert "nothing is due (acknowledged)" in quiet.conclusion
    assert text(quiet, "Held back") == "an acknowledgement holds back reminders"
    assert agrees(one, "acme", MINUTE + 8).before.acknowledged


def test_minutes_that_were_judged_late_are_followed_though_only_some_of_them_have_a_line() -> None:
    one = made_before(rule(for_minutes=1))
    channel()
    send(*(event for offset in range(6) for event in answered(SLOW, offset=offset)))
    roll_up(end_of(5))
    evaluate(end_of(3) + 900)  # minutes up to 3 are older than 15 minutes, and only the second one says so
    assert "15 minutes" not in agrees(one, "acme", MINUTE).conclusion
    assert "late" in agrees(one, "acme", MINUTE + 1).conclusion
    silent = explain(one, "acme", MINUTE + 2)
    assert (silent.differences, silent.events, silent.after.announced) == ([], [], False)
    assert agrees(one, "acme", MINUTE + 4).conclusion.startswith("It was told that it fires")


def test_a_rule_that_was_edited_since_is_explained_as_it_was() -> None:
    one = made_before(rule(threshold=5_000))
    play(course("fS"), until=2)
    one.threshold = 20_000
    one.save()
    AuditEntry.objects.filter(action="changed").update(at=datetime.fromtimestamp(end_of(1) + 20, UTC), actor="ops")
    play(course("..S"), until=3, start=2)
    before, then = explain(one, "acme", MINUTE + 1), agrees(one, "acme", MINUTE + 2)
    assert (before.rule.threshold, before.differences) == (5_000, [])
    assert explained(before) == stored(one, "acme", MINUTE + 1)
    assert before.remarks == [
        f"The rule was edited since, first at {isoformat(MINUTE + 2)[:-3]}26Z by ops: it is explained as it was."
    ]
    assert as_json(before)["edited_since"][0]["fields"] == ["threshold"]
    assert (then.rule.threshold, then.events[0].state) == (20_000, Status.RESOLVED)


def changed(one: AlertRule, at: float, by: str = "ops", **fields: Any) -> None:
    """As if the rule had been edited at a moment."""
    for name, value in fields.items():
        setattr(one, name, value)
    one.save()
    last = AuditEntry.objects.filter(kind="rule").latest("id")
    AuditEntry.objects.filter(pk=last.pk).update(at=datetime.fromtimestamp(at, UTC), actor=by)


def waited(count: int) -> None:
    """Slow minutes that are complete, and judged by nobody yet, as if what was made had been made long before."""
    send(*(event for offset in range(count) for event in answered(SLOW, offset=offset)))
    roll_up(end_of(count - 1))
    AuditEntry.objects.filter(action="created").update(at=to_datetime(MINUTE - 60))


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


def test_what_the_history_has_otherwise_is_said_plainly() -> None:
    one = made_before(rule())
    play(course("fS"), until=2)
    AlertTransition.objects.update(notified=False, reason="9000 > 5000; held back: something that nothing stored tells of")
    odd = explain(one, "acme", MINUTE + 1)
    assert (explained(odd), odd.differences) == (stored(one, "acme", MINUTE + 1), [])
    AlertTransition.objects.update(state="pending")
    odd = explain(one, "acme", MINUTE + 1)
    assert "the history has pending (not told" in odd.differences[0]
    assert odd.conclusion.startswith("Nobody was told, says the history: 9000 > 5000; held back")
    assert text(odd, "History").startswith("it says something else")


def test_records_that_arrived_after_the_minute_was_judged_are_told_of() -> None:
    one = made_before(rule(statistic="mean"))
    play(course("S"), until=1)
    send(*answered(SLOW * 3, offset=0))
    roll_up(end_of(2))
    late = explain(one, "acme", MINUTE)
    assert late.differences == [
        "then it was 9000 from 1 samples, by what is stored now 18000 from 2: records arrived after the minute was judged"
    ]


REFUSED: list[tuple[str, str | None, int, str]] = [
    ("slow", "acme", MINUTE + 2, "is not judged yet: minutes are complete until"),
    ("slow", None, MINUTE, "judges every tenant on its own: name one"),
    ("slow", "nobody", MINUTE, "nothing was ever recorded for tenant 'nobody'"),
    ("all", "acme", MINUTE, "judges all tenants together: leave the tenant out"),
    ("own", "birch", MINUTE, "judges another tenant alone"),
    ("gone", "acme", MINUTE, "was deleted at"),
    ("never", "acme", MINUTE, "there is no rule 'never' (there are: all, own, slow)"),
    ("slow", "acme", MINUTE - 9, "older minutes are not kept one by one"),
]


def test_what_cannot_be_explained_is_refused_with_the_remedy() -> None:
    rule(), rule("all", scope="global"), rule("own", scope="one_tenant", tenant="acme"), rule("gone").delete()
    play(course("fS"), until=2)
    RetentionFloor.objects.create(resolution=1, ts=to_datetime(MINUTE - 5), moved_at=datetime.now(UTC))
    for name, tenant, at, says in REFUSED:
        more = [] if tenant is None else ["--tenant", tenant]
        with pytest.raises(CommandError) as refused:
            call_command("explain", name, "--at", isoformat(at), *more)
        assert says in str(refused.value)


def test_a_minute_that_is_complete_and_was_not_judged_is_said_to_wait_for_the_evaluation() -> None:
    one = rule()
    play(course("f"), until=1)
    roll_up(end_of(3))
    with pytest.raises(RangeError, match="complete, and not judged yet: the evaluation is behind"):
        explain(one, "acme", MINUTE + 2)


def test_the_command_answers_in_words_and_as_json() -> None:
    made_before(rule())
    channel()
    play(course("fS"), until=2)
    out = io.StringIO()
    call_command("explain", "slow", "--tenant=acme", f"--at={isoformat(MINUTE + 1)}", stdout=out)
    said = out.getvalue().splitlines()
    assert said[0] == f"slow for acme in {isoformat(MINUTE + 1)}"
    assert said[1].startswith("It was told that it fires")
    assert said[2] == "  1. Rule: max of response_time > 5000 ms over 1 minute, for acme"
    assert said[3] == f"  2. Window: from {isoformat(MINUTE + 1)} to {isoformat(MINUTE + 2)}"
    out = io.StringIO()
    call_command("explain", "slow", "--tenant=acme", f"--at={isoformat(MINUTE + 1)}", "--json", stdout=out)
    body = json.loads(out.getvalue())
    assert (body["value"], body["breach"], body["agrees"], body["history"][0]["notified"]) == (9_000.0, True, True, True)
