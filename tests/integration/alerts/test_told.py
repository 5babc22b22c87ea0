"""Who is told what, when: of each episode its own beginning and its own end, where it began."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from apps.monitoring.alerts.acknowledge import acknowledge
from apps.monitoring.alerts.measure import Windows
from apps.monitoring.core.clock import isoformat, to_datetime, to_minute
from apps.monitoring.core.frame import Frame
from apps.monitoring.core.rules import Rule
from apps.monitoring.models import Alert, AlertRule, AlertState, AlertTransition, Channel, Notification
from apps.monitoring.notify.delivery import deliver_channel
from tests.integration.alerts.judged import FAST, SLOW, answered, channel, history, play, rule
from tests.integration.alerts.test_silences import silence, slow, told
from tests.integration.ingest.hot import MINUTE
from tests.sinks.receiver import Receiver

pytestmark = pytest.mark.usefixtures("stores")


@pytest.fixture
def duty(settings: Any) -> Any:
    """A PagerDuty that rules without channels tell."""
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["127.0.0.1"]
    with Receiver() as receiver:
        yield pagerduty(receiver, is_default=True), receiver


def pagerduty(receiver: Receiver, name: str = "duty", **fields: Any) -> Channel:
    return Channel.objects.create(
        name=name, kind="pagerduty", config={"url": receiver.pagerduty_url}, secrets={"routing_key": "k" * 32}, **fields
    )


def incidents(receiver: Receiver, *told: Channel) -> list[tuple[str, str]]:
    """Deliver, and what PagerDuty was told so far: action and key."""
    for one in told:
        deliver_channel(one.pk, lambda: datetime.now(UTC))
    return [(arrival.body["event_action"], arrival.body["dedup_key"]) for arrival in receiver.arrivals("pagerduty")]


def lines() -> list[tuple[int, str, bool, int | None, str]]:
    """Minute offset, state, whether somebody was told, the alert, and the reason."""
    return [
        (to_minute(line.minute) - MINUTE, line.state, line.notified, line.alert_id, line.reason)
        for line in AlertTransition.objects.order_by("minute", "id")
    ]


def edit(name: str = "slow", **changes: Any) -> None:
    made = AlertRule.objects.get(name=name)
    for field, value in changes.items():
        setattr(made, field, value)
    made.save()


def dora() -> User:
    return User.objects.create_user("dora")


class TestAnEndThatIsOwed:
    def test_is_told_of_the_first_alert_before_the_second_is_announced(self, duty: tuple[Channel, Receiver]) -> None:
        """Told at 0, over at 1 under a silence, and firing again at 2 under the same one, which ends with 5."""
        rule(cooldown_minutes=2)
        silence(2, 6)
        play({n: answered(FAST if n == 1 else SLOW, offset=n) for n in range(7)}, until=7)
        first, second = Alert.objects.order_by("fired_at")
        assert [line[:4] for line in lines()] == [
            (0, "firing", True, first.pk),
            (1, "resolved", False, first.pk),
            (2, "firing", False, second.pk),
            (5, "resolved", True, first.pk),
            (5, "firing", True, second.pk),
        ]
        _, ended, begun = Notification.objects.order_by("created_at")
        assert (ended.kind, ended.alert_ids, begun.kind, begun.alert_ids) == ("resolved", [first.pk], "firing", [second.pk])
        (said,) = ended.payload["alerts"]
        assert (said["value"], said["since"]) == (FAST, isoformat(MINUTE))
        assert ended.payload["text"] == (
            "slow is resolved for acme: resolved earlier, when nobody could be notified; it lasted 1 minute."
        )
        opened, after = (str(row.pk) for row in Notification.objects.filter(kind="firing").order_by("created_at"))
        assert incidents(duty[1], duty[0]) == [("trigger", opened), ("resolve", opened), ("trigger", after)]
        play({}, until=8, start=7)
        assert incidents(duty[1], duty[0])[3:] == [("resolve", after)]
        assert not AlertState.objects.filter(owed__isnull=False).exists()

    def test_is_told_although_the_new_alert_has_to_wait_for_the_cooldown(self, duty: tuple[Channel, Receiver]) -> None:
        rule(cooldown_minutes=9)
        silence(2, 5)
        play({n: answered(FAST if n == 1 else SLOW, offset=n) for n in range(10)}, until=10)
        assert told() == [(0, "firing", 1), (4, "resolved", 1), (9, "firing", 1)]
        assert [action for action, _ in incidents(duty[1], duty[0])] == ["trigger", "resolve", "trigger"]

    def test_is_told_when_the_second_one_began_and_ended_unheard(self, duty: tuple[Channel, Receiver]) -> None:
        rule(cooldown_minutes=0)
        silence(2, 6)
        play({n: answered(FAST if n in {1, 3} else SLOW, offset=n) for n in range(4)}, until=8)
        first, _ = Alert.objects.order_by("fired_at")
        assert told() == [(0, "firing", 1), (5, "resolved", 1)]
        assert Notification.objects.get(kind="resolved").alert_ids == [first.pk]
        assert {action for action, _ in incidents(duty[1], duty[0])} == {"trigger", "resolve"}

    def test_is_told_by_the_rule_that_is_deleted_meanwhile(self) -> None:
        channel(), rule()
        silence(2, 600)
        play({n: answered(FAST if n == 1 else SLOW, offset=n) for n in range(4)}, until=4)
        AlertRule.objects.all().delete()
        first, second = Alert.objects.order_by("fired_at")
        assert Notification.objects.get(kind="resolved").alert_ids == [first.pk]
        assert second.resolved_at is not None

    def test_of_one_tenant_goes_before_the_beginning_of_another(self) -> None:
        channel(), rule(cooldown_minutes=0)
        silence(2, 5, tenants=["bolt"])
        minutes = slow(range(1), "bolt")
        minutes[4] = answered(SLOW, "acme", 4)
        play(minutes, until=5)
        assert told() == [(0, "firing", 1), (4, "resolved", 1), (4, "firing", 1)]


class TestAnAcknowledgement:
    @pytest.fixture
    def taken(self) -> Alert:
        channel(), rule(cooldown_minutes=3)
        play(slow(range(2), "acme"), until=2)
        alert = Alert.objects.get()
        assert acknowledge([alert.pk], dora(), to_datetime(MINUTE + 2), "on it") == [alert.pk]
        return alert

    def test_ends_when_the_severity_rises_and_that_is_told(self, taken: Alert) -> None:
        play(slow(range(2, 5), "acme"), until=5, start=2)
        assert told() == [(0, "firing", 1)]
        edit(severity="critical")
        play(slow(range(5, 9), "acme"), until=9, start=5)
        assert told() == [(0, "firing", 1), (5, "reminder", 1), (8, "reminder", 1)]
        rose = "the severity rose from warning to critical, which ends the acknowledgement"
        by = "acknowledged by dora at 2026-01-05T00:02:00Z"
        assert lines()[1] == (5, "firing", True, taken.pk, f"9000 > 5000; {rose} ({by})")
        reminder = Notification.objects.get(minute=to_datetime(MINUTE + 5))
        assert reminder.payload["rule"]["severity"] == "critical"
        assert "dora" not in str(reminder.payload)
        taken.refresh_from_db()
        assert (taken.acknowledged_at, taken.acknowledged_by, taken.acknowledgement_note) == (None, None, "")

    def test_that_a_rise_ended_is_an_incident_anew_and_no_longer_in_the_first_message(
        self, duty: tuple[Channel, Receiver]
    ) -> None:
        pages, receiver = duty
        config, secrets = {"channel": "#ops", "api": receiver.slack_api}, {"token": "xoxb-" + "1234567890"}
        chat = Channel.objects.create(name="chat", kind="slack", config=config, secrets=secrets, is_default=True)
        rule(cooldown_minutes=3)
        play(slow(range(2), "acme"), until=2)
        incidents(receiver, pages, chat)
        acknowledge([Alert.objects.get().pk], dora(), to_datetime(MINUTE + 2))
        incidents(receiver, pages, chat)
        edit(severity="critical")
        play(slow(range(2, 5), "acme"), until=5, start=2)
        incidents(receiver, pages, chat)
        play({}, until=6, start=5)
        key = str(Notification.objects.get(channel=pages, kind="firing").pk)
        risen = [("trigger", f"{key}-critical"), ("resolve", key), ("resolve", f"{key}-error")]
        end = [("resolve", key), ("resolve", f"{key}-error"), ("resolve", f"{key}-critical")]
        assert incidents(receiver, pages, chat) == [("trigger", key), ("acknowledge", key), *risen, *end]
        said = [(a.body["method"], a.body["text"]) for a in receiver.arrivals("slack")]
        post, change = "chat.postMessage", "chat.update"
        assert [method for method, _ in said] == [post, change, change, post, change]
        words = ("firing", "acknowledged", "firing", "reminder", "resolved")
        assert all(word in text for (_, text), word in zip(said, words, strict=True)), said

    def test_can_be_given_anew_at_the_new_severity(self, taken: Alert) -> None:
        edit(severity="error")
        play(slow(range(2, 5), "acme"), until=5, start=2)
        assert acknowledge([taken.pk], None, to_datetime(MINUTE + 5)) == [taken.pk]
        assert AlertState.objects.get().acknowledged == "error"
        play(slow(range(5, 12), "acme"), until=12, start=5)
        assert told() == [(0, "firing", 1), (3, "reminder", 1)]

    def test_within_the_cooldown_ends_and_the_notification_waits_for_it(self, taken: Alert) -> None:
        edit(severity="critical")
        play(slow(range(2, 4), "acme"), until=4, start=2)
        assert [(minute, notified) for minute, _, notified, _, _ in lines()] == [(0, True), (2, False), (3, True)]
        assert "held back: cooldown until 2026-01-05T00:03:00Z (acknowledged by dora" in lines()[1][4]
        assert told() == [(0, "firing", 1), (3, "reminder", 1)]

    def test_is_of_what_was_told_and_not_of_what_the_rule_has_become_meanwhile(self) -> None:
        channel(), rule(cooldown_minutes=4)
        play(slow(range(1), "acme"), until=1)
        edit(severity="critical")
        play(slow(range(1, 2), "acme"), until=2, start=1)
        acknowledge([Alert.objects.get().pk], dora(), to_datetime(MINUTE + 2))
        assert AlertState.objects.get().acknowledged == "warning"
        play(slow(range(2, 6), "acme"), until=6, start=2)
        assert told() == [(0, "firing", 1), (4, "reminder", 1)]
        assert Notification.objects.get(kind="reminder").payload["rule"]["severity"] == "critical"

    def test_is_of_the_worst_that_was_told(self) -> None:
        channel(), rule(cooldown_minutes=2)
        for offset, severity in enumerate(["warning", "warning", "critical", "critical", "info"]):
            edit(severity=severity)
            play(slow(range(offset, offset + 1), "acme"), until=offset + 1, start=offset)
        assert told() == [(0, "firing", 1), (2, "reminder", 1), (4, "reminder", 1)]
        acknowledge([Alert.objects.get().pk], dora(), to_datetime(MINUTE + 5))
        assert AlertState.objects.get().acknowledged == "critical"

    def test_of_what_nobody_was_told_is_of_the_severity_that_it_fired_with(self) -> None:
        rule(severity="error")
        play(slow(range(1), "acme"), until=1)
        edit(severity="critical")
        acknowledge([Alert.objects.get().pk], dora(), to_datetime(MINUTE + 1))
        assert AlertState.objects.get().acknowledged == "error"

    def test_of_what_the_cooldown_holds_back_leaves_nobody_to_be_told(self) -> None:
        channel(), rule(cooldown_minutes=4)
        minutes = {n: answered(FAST if n in {1, 8} else SLOW, offset=n) for n in range(9)}
        play(minutes, until=3)
        acknowledge([Alert.objects.get(resolved_at=None).pk], dora(), to_datetime(MINUTE + 3))
        play(minutes, until=9, start=3)
        assert told() == [(0, "firing", 1), (1, "resolved", 1)]
        assert history()[2:] == [(2, "firing", False), (8, "resolved", False)]

    def test_outlasts_a_rule_that_becomes_milder(self, taken: Alert) -> None:
        edit(severity="info")
        play(slow(range(2, 9), "acme"), until=9, start=2)
        edit(severity="warning")
        play(slow(range(9, 12), "acme"), until=12, start=9)
        assert told() == [(0, "firing", 1)]
        taken.refresh_from_db()
        assert taken.acknowledged_at is not None


class TestTwoSeverities:
    """A warning and a critical rule of the same metric know nothing of each other."""

    @pytest.fixture
    def both(self) -> None:
        channel()
        rule("warns", severity="warning", threshold=1_000.0, cooldown_minutes=4)
        rule("pages", severity="critical", threshold=5_000.0, cooldown_minutes=2)

    def of(self, name: str) -> list[tuple[int, str]]:
        rows = Notification.objects.filter(rule__name=name).order_by("minute", "created_at")
        return [(to_minute(row.minute) - MINUTE, row.kind) for row in rows]

    def test_the_cooldown_of_the_warning_does_not_hide_the_critical_one(self, both: None) -> None:
        play({0: answered(2_000.0), 1: answered(FAST, offset=1), 2: answered(SLOW, offset=2)}, until=3)
        assert history("warns") == [(0, "firing", True), (1, "resolved", True), (2, "firing", False)]
        assert "cooldown" in AlertTransition.objects.filter(rule_name="warns").latest("minute").reason
        assert history("pages") == [(2, "firing", True)]

    def test_one_that_is_acknowledged_as_a_warning_still_reminds_as_critical(self, both: None) -> None:
        play(slow(range(1), "acme"), until=1)
        acknowledge([Alert.objects.get(rule_name="warns").pk], dora(), to_datetime(MINUTE + 1))
        play(slow(range(1, 6), "acme"), until=6, start=1)
        assert self.of("warns") == [(0, "firing")]
        assert self.of("pages") == [(0, "firing"), (2, "reminder"), (4, "reminder")]

    def test_a_silence_of_warnings_holds_back_the_warning_alone(self, both: None) -> None:
        silence(0, 9, rules=[], severities=["warning"])
        play(slow(range(1), "acme"), until=1)
        assert (self.of("warns"), self.of("pages")) == ([], [(0, "firing")])


class TestTheChannels:
    def test_an_end_goes_to_the_channel_that_was_told_although_the_rule_has_others_now(
        self, duty: tuple[Channel, Receiver]
    ) -> None:
        old, receiver = duty
        made = rule()
        play(slow(range(2), "acme"), until=2)
        new = pagerduty(receiver, "new")
        made.channels.set([new])
        play({}, until=3, start=2)
        assert [action for action, _ in incidents(receiver, old, new)] == ["trigger", "resolve"]
        assert list(Notification.objects.values_list("channel__name", flat=True)) == ["duty", "duty"]

    def test_one_that_was_reminded_hears_of_the_end_as_well(self, duty: tuple[Channel, Receiver]) -> None:
        old, receiver = duty
        made = rule(cooldown_minutes=2)
        play(slow(range(1), "acme"), until=1)
        new = pagerduty(receiver, "new")
        made.channels.set([new])
        play(slow(range(1, 4), "acme"), until=5, start=1)
        keys = {row.channel.name: str(row.pk) for row in Notification.objects.filter(kind__in=["firing", "reminder"])}
        assert sorted(incidents(receiver, old, new)) == sorted(
            [("trigger", keys["duty"]), ("resolve", keys["duty"]), ("trigger", keys["new"]), ("resolve", keys["new"])]
        )

    def test_of_two_tenants_each_ends_where_it_began(self) -> None:
        made = rule(cooldown_minutes=60)
        one, other = (Channel.objects.create(name=name, kind="log") for name in ("one", "other"))
        made.channels.set([one])
        play({0: answered(SLOW, "acme")}, until=1)
        made.channels.set([other])
        play({1: [*answered(SLOW, "acme", 1), *answered(SLOW, "bolt", 1)]}, until=3, start=1)
        ends = Notification.objects.filter(kind="resolved").order_by("channel__name")
        assert [(row.channel.name, [alert["tenant"] for alert in row.payload["alerts"]]) for row in ends] == [
            ("one", ["acme"]),
            ("other", ["bolt"]),
        ]

    def test_one_that_is_switched_off_learns_the_end_when_it_is_back(self, duty: tuple[Channel, Receiver]) -> None:
        old, receiver = duty
        rule()
        play(slow(range(1), "acme"), until=1)
        assert [action for action, _ in incidents(receiver, old)] == ["trigger"]
        Channel.objects.update(enabled=False)
        play({}, until=2, start=1)
        assert [action for action, _ in incidents(receiver, old)] == ["trigger"]
        Channel.objects.update(enabled=True)
        assert [action for action, _ in incidents(receiver, old)] == ["trigger", "resolve"]

    @pytest.mark.parametrize("left", ["none at all", "its own is off", "the default is off"])
    def test_where_none_is_enabled_the_history_says_so_and_it_is_told_when_one_is(self, left: str) -> None:
        made = rule(cooldown_minutes=30)
        if left != "none at all":
            off = Channel.objects.create(name="off", kind="log", enabled=False, is_default=left == "the default is off")
            if left == "its own is off":
                made.channels.set([off])
                channel()
        play(slow(range(2), "acme"), until=2)
        assert [line[:3] for line in lines()] == [(0, "firing", False)]
        assert lines()[0][4] == "9000 > 5000; held back: no channel is enabled"
        if left == "none at all":
            channel()
        Channel.objects.update(enabled=True)
        play(slow(range(2, 4), "acme"), until=4, start=2)
        assert [line[:3] for line in lines()] == [(0, "firing", False), (2, "firing", True)]
        assert told() == [(2, "firing", 1)]

    def test_one_that_is_switched_off_while_a_minute_is_judged_is_told_as_the_history_says(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        log, frame = channel(), Windows.frame
        rule(cooldown_minutes=30)

        def meanwhile(self: Windows, own: Rule) -> Frame:
            Channel.objects.update(enabled=False)
            return frame(self, own)

        monkeypatch.setattr(Windows, "frame", meanwhile)
        play(slow(range(1), "acme"), until=1)
        assert [line[:3] for line in lines()] == [(0, "firing", True)]
        assert list(Notification.objects.values_list("kind", "channel")) == [("firing", log.pk)]
