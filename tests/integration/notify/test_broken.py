"""A rule that cannot be evaluated is told of, once, and once more when that is over."""

from __future__ import annotations

import pytest
from django.utils import timezone

from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import broken, fallback
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.notify.sweep import sweep
from tests.integration.notify.conftest import Clock, MakeChannel
from tests.integration.notify.processes import at_once
from tests.integration.notify.rows import log_channel, rule
from tests.sinks import faults
from tests.sinks.receiver import Receiver


@pytest.fixture
def bad(db: None) -> AlertRule:
    return rule(name="bad")


@pytest.fixture
def hook(webhook: MakeChannel, receiver: Receiver) -> Channel:
    return webhook(receiver, is_default=True)


def breaks(bad: AlertRule, error: str = "KeyError: 'no_such_metric'") -> None:
    AlertRule.objects.filter(pk=bad.pk).update(error=error, error_since=timezone.now())


def mended(bad: AlertRule) -> None:
    AlertRule.objects.filter(pk=bad.pk).update(error="", error_since=None)


def said() -> list[tuple[str, str]]:
    rows = Notification.objects.filter(broken_rule__isnull=False).order_by("created_at", "channel__name")
    return list(rows.values_list("kind", "channel__name"))


def delivered(hook: Channel, clock: Clock) -> None:
    clock.passes(seconds=1)
    deliver_channel(hook.pk, clock)


def test_it_is_told_once_and_its_end_once_through_the_outbox(
    bad: AlertRule, hook: Channel, receiver: Receiver, clock: Clock
) -> None:
    breaks(bad)
    for _ in range(3):
        sweep(clock())
        delivered(hook, clock)
    (arrival,) = receiver.arrivals()
    assert arrival.body["kind"] == "firing"
    assert arrival.body["rule"]["name"] == "rule-bad-broken"
    assert arrival.body["text"].startswith("The rule bad cannot be evaluated (KeyError) and tells of nothing.")
    assert arrival.body["links"]["rule"] == f"https://monitoring.example/admin/monitoring/alertrule/{bad.pk}/change/"
    mended(bad)
    for _ in range(3):
        sweep(clock())
        delivered(hook, clock)
    _, end = receiver.arrivals()
    assert (end.body["kind"], end.body["text"]) == ("resolved", "The rule bad is evaluated again.")


def test_what_the_error_quotes_is_not_told(bad: AlertRule, hook: Channel, receiver: Receiver, clock: Clock) -> None:
    breaks(bad, "IntegrityError: DETAIL: Failing row contains (call me at 555-0100)")
    sweep(clock())
    delivered(hook, clock)
    assert "555-0100" not in str(receiver.arrivals()[0].body)


def test_the_rules_own_channels_are_told_where_it_has_some(bad: AlertRule, hook: Channel, clock: Clock) -> None:
    bad.channels.set([log_channel("own"), log_channel("off", enabled=False)])
    breaks(bad)
    broken.sweep(clock())
    assert said() == [("firing", "own")]


@pytest.mark.parametrize("how", ["was switched off", "was deleted"])
def test_it_is_over_as_well_when_the_rule_is_gone(how: str, bad: AlertRule, hook: Channel, clock: Clock) -> None:
    breaks(bad)
    broken.sweep(clock())
    if how == "was deleted":
        bad.delete()
    else:
        AlertRule.objects.update(enabled=False)
    for _ in range(2):
        broken.sweep(clock())
    assert said() == [("firing", "hook"), ("resolved", "hook")]
    assert Notification.objects.get(kind="resolved").payload["text"] == f"The rule bad {how}."


def test_one_that_is_switched_off_is_not_told_of(bad: AlertRule, hook: Channel, clock: Clock) -> None:
    breaks(bad)
    AlertRule.objects.update(enabled=False)
    assert broken.sweep(clock()) == 0


def test_one_that_fails_now_and_then_is_told_of_once_an_hour(bad: AlertRule, hook: Channel, clock: Clock) -> None:
    for _ in range(14):
        AlertRule.objects.filter(pk=bad.pk).update(error="ValueError: x", error_since=clock())
        broken.sweep(clock())
        mended(bad)
        broken.sweep(clock())
        clock.passes(minutes=5)
    assert said() == [("firing", "hook"), ("resolved", "hook")] * 2


def test_the_end_does_not_overtake_the_beginning(bad: AlertRule, hook: Channel, receiver: Receiver, clock: Clock) -> None:
    breaks(bad)
    broken.sweep(clock())
    receiver.will(faults.answers(500))
    delivered(hook, clock)
    mended(bad)
    broken.sweep(clock())
    delivered(hook, clock)
    assert receiver.arrivals() == []
    clock.passes(minutes=1)
    deliver_channel(hook.pk, clock)
    assert [arrival.body["kind"] for arrival in receiver.arrivals()] == ["firing", "resolved"]


def test_an_incident_about_it_is_closed(bad: AlertRule, receiver: Receiver, clock: Clock) -> None:
    duty = Channel.objects.create(
        name="duty",
        kind="pagerduty",
        is_default=True,
        config={"url": receiver.pagerduty_url},
        secrets={"routing_key": "k" * 32},
    )
    breaks(bad)
    broken.sweep(clock())
    mended(bad)
    broken.sweep(clock())
    delivered(duty, clock)
    events = [(a.body["event_action"], a.body["dedup_key"]) for a in receiver.arrivals("pagerduty")]
    assert [action for action, _ in events] == ["trigger", "resolve"]
    assert len({key for _, key in events}) == 1


def test_a_chat_message_about_it_is_changed(bad: AlertRule, receiver: Receiver, clock: Clock) -> None:
    chat = Channel.objects.create(
        name="chat", kind="slack", is_default=True, config={"channel": "#ops", "api": receiver.slack_api},
        secrets={"token": "xoxb-123-abcdefghij"},
    )  # fmt: skip
    breaks(bad)
    broken.sweep(clock())
    delivered(chat, clock)
    mended(bad)
    broken.sweep(clock())
    delivered(chat, clock)
    assert set(Notification.objects.values_list("status", flat=True)) == {"delivered"}
    assert [arrival.body["method"] for arrival in receiver.arrivals("slack")] == ["chat.postMessage", "chat.update"]


def test_a_fallback_is_told_of_both_and_each_once(bad: AlertRule, hook: Channel, receiver: Receiver, clock: Clock) -> None:
    stand_in = log_channel("stand-in")
    Channel.objects.filter(pk=hook.pk).update(fallback=stand_in)
    breaks(bad)
    broken.sweep(clock())
    clock.passes(minutes=6)
    fallback.sweep(clock())
    mended(bad)
    for _ in range(2):
        broken.sweep(clock())
        delivered(hook, clock)
    assert sorted(said()) == [("firing", "hook"), ("firing", "stand-in"), ("resolved", "hook"), ("resolved", "stand-in")]


@pytest.mark.django_db(transaction=True)
def test_sweeps_at_the_same_time_tell_once(bad: AlertRule, hook: Channel, clock: Clock) -> None:
    breaks(bad)
    at_once(*[lambda: broken.sweep(clock())] * 6)
    assert said() == [("firing", "hook")]
    mended(bad)
    at_once(*[lambda: broken.sweep(clock())] * 6)
    assert said() == [("firing", "hook"), ("resolved", "hook")]
