"""What befalls receivers and servers, with real ones: nothing is lost, and what comes twice comes under one id."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from django.db import connection

from apps.monitoring.demo.sink.web import Behave
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox
from apps.monitoring.notify.channels import http
from apps.monitoring.notify.delivery import LEASE, Report, deliver_channel
from apps.monitoring.notify.sweep import sweep
from config.embedded.postgres import Postgres
from tests.integration.notify.conftest import SECRET, Clock, MakeChannel, Told, fresh
from tests.integration.notify.processes import ROOT
from tests.integration.notify.rows import log_channel
from tests.patience import eventually
from tests.sinks import faults
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver
from workers.app import app


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An attempt takes four seconds instead of twenty."""
    monkeypatch.setattr(http, "_TOTAL_SECONDS", 4.0)


def until_delivered(row: Notification, clock: Clock) -> list[str]:
    """Run as a worker would until it is there; what went wrong on the way."""
    errors = []
    for _ in range(30):
        deliver_channel(row.channel_id, clock)
        now = fresh(row)
        if now.status == "delivered":
            return errors
        errors.append(now.last_error)
        clock.now = max(clock.now, now.next_attempt_at, Channel.objects.get().paused_until or clock.now)
    raise AssertionError(errors)


FAULTS: dict[str, tuple[Callable[[Receiver], list[Behave]], str]] = {
    "hangs": (lambda r: [faults.hangs(r.released)], "the receiver did not answer in time"),
    "drips": (lambda r: [faults.drips(r.released)], "the receiver did not answer in time"),
    "500": (lambda _: [faults.answers(500)] * 3, "the receiver answered 500"),
    "503": (lambda _: [faults.answers(503, Retry_After="20")] * 3, "the receiver answered 503"),
    "resets": (lambda _: [faults.resets] * 3, "the receiver cannot be reached: "),
}


@pytest.mark.usefixtures("impatient")
class TestAWebhook:
    @pytest.mark.parametrize("fault", FAULTS)
    def test_that_fails_gets_it_once(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock, fault: str
    ) -> None:
        row = told(webhook(receiver))
        plan, said = FAULTS[fault][0](receiver), FAULTS[fault][1]
        receiver.will(*plan)
        errors = until_delivered(row, clock)
        assert len(errors) == len(plan)
        assert all(error.startswith(said) for error in errors)
        assert receiver.ids() == [str(row.pk)]
        assert {attempt["webhook-id"] for attempt in receiver.attempts} == {str(row.pk)}

    def test_that_takes_it_and_answers_too_late_gets_it_twice_under_one_id_and_only_that(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        channel = webhook(receiver)
        rows = [told(channel, name=f"rule-{number}") for number in range(3)]
        receiver.will(faults.none, faults.hangs(receiver.released, takes=True))
        until_delivered(rows[1], clock)
        until_delivered(rows[2], clock)
        assert Counter(receiver.ids()) == {str(rows[0].pk): 1, str(rows[1].pk): 2, str(rows[2].pk): 1}

    def test_that_breaks_off_after_it_said_yes_gets_it_once(
        self, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
    ) -> None:
        row = told(webhook(receiver))
        receiver.will(faults.resets_mid_body)
        clock.passes(seconds=1)
        assert until_delivered(row, clock) == []
        assert receiver.ids() == [str(row.pk)]


def test_sentry_unreachable_for_an_hour_gets_everything_once(receiver: Receiver, told: Told, clock: Clock) -> None:
    channel = Channel.objects.create(name="sentry", kind="sentry", secrets={"dsn": receiver.dsn})
    rows = [told(channel, name=f"rule-{number}") for number in range(5)]
    receiver.down()
    for _ in range(60):
        deliver_channel(channel.pk, clock)
        clock.passes(minutes=1)
    assert Notification.objects.filter(status="pending").count() == 5
    receiver.up()
    clock.passes(minutes=5)
    assert deliver_channel(channel.pk, clock) == Report(delivered=5)
    assert sorted(arrival.body["event_id"] for arrival in receiver.arrivals("sentry")) == sorted(row.pk.hex for row in rows)


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_forgot_everything_is_asked_again_by_the_sweep(
    valkey: redis.Redis, webhook: MakeChannel, receiver: Receiver, told: Told, clock: Clock
) -> None:
    broker = redis.Redis.from_url(app.conf.broker_url or "")
    channel = webhook(receiver)
    row = told(channel)
    assert broker.llen("notifications") == 1
    valkey.flushall()
    assert broker.llen("notifications") == 0
    clock.passes(seconds=1)
    sweep(clock())
    assert broker.llen("notifications") == 1
    deliver_channel(channel.pk, clock)
    assert receiver.ids() == [str(row.pk)]
    broker.delete("notifications")
    broker.close()


@pytest.mark.usefixtures("impatient")
class TestEverythingAtOnce:
    """Five channels, random faults, seven simulated hours."""

    @pytest.mark.parametrize("seed", range(3))
    def test_nothing_is_lost(self, receiver: Receiver, mailbox: Mailbox, told: Told, clock: Clock, seed: int) -> None:
        chance = random.Random(seed)
        kinds = {
            "webhook": ({"url": receiver.url}, {"secret": SECRET}),
            "sentry": ({}, {"dsn": receiver.dsn}),
            "slack": ({"channel": "#ops", "api": receiver.slack_api}, {"token": "xoxb-" + "1234567890"}),
            "pagerduty": ({"url": receiver.pagerduty_url}, {"routing_key": "k" * 32}),
            "email": ({"to": ["ops@example.com"], "from": "m@example.com"}, {"url": mailbox.url}),
        }
        made = [Channel.objects.create(name=kind, kind=kind, config=c, secrets=s) for kind, (c, s) in kinds.items()]
        for round_ in range(60):
            if round_ < 15:
                told(chance.choice(made), name=f"rule-{round_}")
                receiver.will(*_some_faults(chance, receiver))
                if chance.random() < 0.3:
                    mailbox.down() if mailbox.is_up else mailbox.up()
            elif not mailbox.is_up:
                mailbox.up()
            for channel in made:
                deliver_channel(channel.pk, clock)
            clock.passes(seconds=chance.uniform(30, 120) if round_ < 15 else 600)
        assert set(Notification.objects.values_list("status", flat=True)) == {"delivered"}
        assert Notification.objects.filter(attempts__gt=1).count() > 2  # there was something to get over
        arrived = Counter(_ids(receiver, mailbox))
        assert set(arrived) == {str(pk) for pk in Notification.objects.values_list("pk", flat=True)}


def _some_faults(chance: random.Random, receiver: Receiver) -> list[Behave]:
    known = [
        faults.none,
        faults.answers(500),
        faults.answers(429, Retry_After=str(chance.randint(1, 90))),
        faults.resets,
        faults.hangs(receiver.released, takes=True),
    ]
    return chance.choices(known, weights=[8, 4, 2, 3, 1], k=chance.randint(0, 2))


def _ids(receiver: Receiver, mailbox: Mailbox) -> Iterator[str]:
    for arrival in receiver.arrivals("webhook"):
        yield arrival.headers["webhook-id"]
    for arrival in receiver.arrivals("sentry"):
        yield _dashed(arrival.body["event_id"])
    for arrival in receiver.arrivals("slack"):
        yield arrival.body["blocks"][-1]["elements"][0]["text"].removeprefix("id ")
    for arrival in receiver.arrivals("pagerduty"):
        yield arrival.body["dedup_key"]
    for mail in mailbox.arrivals():
        yield mail.headers["x-notification-id"]


def _dashed(hexadecimal: str) -> str:
    from uuid import UUID

    return str(UUID(hexadecimal))


class TestADatabaseThatCrashes:
    """Its own, so that no other test notices."""

    @pytest.fixture
    def postgres(self) -> Iterator[Postgres]:
        # Not below pytest's folder: each run that begins closes it to others, and the server may run as another user.
        with tempfile.TemporaryDirectory(prefix="agentmon-tests-") as folder:
            Path(folder).chmod(0o755)
            server = Postgres(Path(folder))
            server.start()
            yield server
            server.stop()

    def test_between_sending_and_recording_sends_again_under_the_same_id(self, postgres: Postgres, receiver: Receiver) -> None:
        python(postgres, "from django.core.management import call_command\ncall_command('migrate', verbosity=0)")
        identity = python(
            postgres,
            "from apps.monitoring.models import Channel\nfrom apps.monitoring.notify import outbox\n"
            f"channel = Channel.objects.create(name='hook', kind='webhook', config={{'url': {receiver.url!r}}})\n"
            "print(outbox.send_test(channel).pk)",
        ).split()[-1]
        receiver.will(faults.hangs(receiver.released, takes=True))
        worker = started(postgres, DELIVER.format(seconds=0))
        eventually("it arrives", receiver.arrivals, 60)
        postgres.kill()
        receiver.released.set()
        said, _ = worker.communicate(timeout=60)
        assert worker.returncode != 0, said
        postgres.start()
        assert "Report(delivered=0, failed=0, dead=0)" in python(postgres, DELIVER.format(seconds=0))
        after = LEASE.total_seconds() + 1
        assert "Report(delivered=1, failed=0, dead=0)" in python(postgres, DELIVER.format(seconds=after))
        assert "Report(delivered=0, failed=0, dead=0)" in python(postgres, DELIVER.format(seconds=after))
        assert receiver.ids() == [identity] * 2


DELIVER = (
    "from datetime import timedelta\nfrom django.utils import timezone\n"
    "from apps.monitoring.models import Channel\nfrom apps.monitoring.notify.delivery import deliver_channel\n"
    "later = timedelta(seconds={seconds})\n"
    "print(deliver_channel(Channel.objects.get().pk, lambda: timezone.now() + later))"
)


def started(postgres: Postgres, code: str) -> subprocess.Popen[str]:
    own = {
        "DATABASE_URL": postgres.url,
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "MONITORING_ALLOWED_WEBHOOK_HOSTS": "127.0.0.1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", f"import django\ndjango.setup()\n{code}"],
        cwd=Path(ROOT), env={**os.environ, **own}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def python(postgres: Postgres, code: str) -> str:
    process = started(postgres, code)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


@pytest.mark.django_db
def test_a_secret_that_cannot_be_read_stops_its_channel_alone(told: Told, clock: Clock) -> None:
    good, bad = log_channel("good"), log_channel("bad", secrets={"x": "y"})
    for channel in (good, bad):
        told(channel, name=f"rule-{channel.name}")
    with connection.cursor() as cursor:
        cursor.execute("UPDATE monitoring_channel SET secrets = 'broken' WHERE name = 'bad'")
    clock.passes(seconds=1)
    sweep(clock())
    assert deliver_channel(good.pk, clock) == Report(delivered=1)
    assert deliver_channel(bad.pk, clock) == Report(failed=1)
    assert outbox.resend(Notification.objects.filter(channel=bad.pk)) == 1
