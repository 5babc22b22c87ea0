"""Explain tells of every minute what evaluation did in it: compared with the history that evaluation wrote."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from apps.monitoring.alerts import defaults
from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.alerts.evaluate import evaluate
from apps.monitoring.alerts.explain import explain
from apps.monitoring.alerts.explanation import as_json
from apps.monitoring.core.clock import isoformat, to_datetime, to_minute
from apps.monitoring.core.lifecycle import Status
from apps.monitoring.models import (
    Alert,
    AlertRule,
    AlertTransition,
    AuditEntry,
    Channel,
    Notification,
    RetentionFloor,
    Silence,
)
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.query.errors import RangeError
from tests.integration.alerts.explaining import agrees, course, edited, explained, made_before, stored, text
from tests.integration.alerts.judged import SLOW, answered, channel, end_of, history, play, rule
from tests.integration.alerts.test_backtest import VARIANTS
from tests.integration.ingest.hot import MINUTE
from tests.integration.rollup.stored import roll_up, send
from tests.oracle import made

pytestmark = pytest.mark.usefixtures("stores")


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
    assert said[2] == "  1. Rule: max of response_time > 5 s over 1 minute, for acme"
    assert said[3] == f"  2. Window: from {isoformat(MINUTE + 1)} to {isoformat(MINUTE + 2)}"
    out = io.StringIO()
    call_command("explain", "slow", "--tenant=acme", f"--at={isoformat(MINUTE + 1)}", "--json", stdout=out)
    body = json.loads(out.getvalue())
    assert (body["value"], body["breach"], body["agrees"], body["history"][0]["notified"]) == (9_000.0, True, True, True)
