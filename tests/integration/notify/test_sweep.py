"""What is looked at each minute goes on although a part of it, or a row, cannot be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from apps.monitoring.models import AlertRule, Channel, Notification
from apps.monitoring.notify import broken, delivery, failing, fallback, outbox
from apps.monitoring.notify.delivery import Report, deliver_channel
from apps.monitoring.notify.sweep import sweep
from tests.integration.notify.conftest import Clock, MakeChannel, Told, fresh
from tests.integration.notify.rows import log_channel, rule
from tests.sinks.receiver import Receiver


def of_a_newer_version(row: Notification) -> None:
    """What a newer version wrote, and this one cannot read: a deployment is under way, or was taken back."""
    row.payload["rule"]["not_known_yet"] = 1
    row.save(update_fields=["payload"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The channels for which a delivery is asked."""
    channels: list[int] = []
    monkeypatch.setattr(outbox, "ask", lambda channel, **_after: channels.append(channel))
    return channels


class TestAPartThatFails:
    @pytest.mark.parametrize("part", [fallback, failing, broken])
    def test_holds_up_no_other_and_is_noticed(
        self,
        part: Any,
        told: Told,
        clock: Clock,
        asked: list[int],
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        row = told(log_channel("log"))
        others = {fallback, failing, broken} - {part}
        swept: set[Any] = set()

        def fails(_now: datetime) -> int:
            raise LookupError(part.__name__)

        def notes(other: Any) -> Callable[[datetime], None]:
            return lambda _now: swept.add(other)

        monkeypatch.setattr(part, "sweep", fails)
        for other in others:
            monkeypatch.setattr(other, "sweep", notes(other))
        asked.clear()
        clock.passes(minutes=1)
        with pytest.raises(LookupError, match=part.__name__):
            sweep(clock())
        assert (swept, asked) == (others, [row.channel_id])
        assert "Traceback" in caplog.text

    def test_the_first_of_several_errors_is_the_one_that_is_raised(
        self, db: None, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fails(error: Exception) -> Callable[[datetime], int]:
            def raises(_now: datetime) -> int:
                raise error

            return raises

        monkeypatch.setattr(failing, "sweep", fails(LookupError("first")))
        monkeypatch.setattr(delivery, "due_channels", fails(ValueError("second")))
        with pytest.raises(LookupError, match="first"):
            sweep(clock())


class TestARowThatCannotBeRead:
    def test_the_fallback_is_told_of_the_others(self, told: Told, clock: Clock) -> None:
        channel = log_channel("log", fallback=log_channel("stand-in"))
        of_a_newer_version(told(channel))
        other = told(channel, name="another-rule")
        clock.passes(minutes=6)
        with pytest.raises(TypeError):
            sweep(clock())
        assert Notification.objects.get(fallback_of__isnull=False).fallback_of == other

    def test_the_end_of_another_broken_rule_is_told(self, db: None, clock: Clock) -> None:
        channel = log_channel("log", is_default=True)
        rules = [rule(name="one"), rule(name="two")]
        AlertRule.objects.update(error="DataError: x", error_since=clock())
        broken.sweep(clock())
        of_a_newer_version(Notification.objects.get(broken_rule=rules[0].pk))
        AlertRule.objects.update(error="", error_since=None)
        with pytest.raises(TypeError):
            sweep(clock())
        ended = Notification.objects.get(kind="resolved")
        assert (ended.broken_rule, ended.channel) == (rules[1].pk, channel)

    def test_it_is_given_up_after_its_day_and_holds_up_no_other(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver, fallback=log_channel("stand-in"))
        row = told(channel)
        of_a_newer_version(row)
        clock.passes(seconds=1)
        deliver_channel(channel.pk, clock)
        clock.passes(hours=25)
        other = told(channel, name="another-rule")
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock) == Report(dead=1)
        assert deliver_channel(channel.pk, clock) == Report(delivered=1)
        assert [fresh(one).status for one in (row, other)] == ["dead", "delivered"]


def test_a_channel_that_cannot_be_told_of_holds_up_no_other(
    webhook: MakeChannel, receiver: Receiver, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_channel("log", is_default=True)
    Channel.objects.bulk_create(Channel(name=name, kind="log", failing_since=clock.now) for name in ("one", "two"))
    write = failing._write

    def all_but_one(channel: Channel, *rest: Any) -> None:
        if channel.name == "one":
            raise LookupError(channel.name)
        write(channel, *rest)

    monkeypatch.setattr(failing, "_write", all_but_one)
    clock.passes(minutes=11)
    with pytest.raises(LookupError):
        failing.sweep(clock())
    assert [row.about and row.about.name for row in Notification.objects.all()] == ["two"]
