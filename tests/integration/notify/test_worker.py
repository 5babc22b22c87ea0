"""The notifier of the Procfile: a real worker, asked by the outbox."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox
from tests.integration.notify.conftest import MakeChannel, fresh
from tests.integration.notify.processes import ROOT, environment
from tests.patience import eventually
from tests.sinks import faults
from tests.sinks.receiver import Receiver
from workers.app import app


@pytest.fixture
def notifier(valkey: redis.Redis, transactional_db: None, tmp_path: Path) -> Iterator[Path]:
    """The worker, as `make up` starts it; yields its log."""
    line = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("notifier:"))
    program, *arguments = shlex.split(line.partition(":")[2])
    log = tmp_path / "notifier.log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [str(Path(sys.executable).parent / program), *arguments],
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield log
    finally:
        worker.send_signal(signal.SIGTERM)
        try:
            worker.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def test_a_channel_that_hangs_does_not_delay_another(notifier: Path, webhook: MakeChannel, receiver: Receiver) -> None:
    with Receiver() as stuck:
        stuck.always(faults.hangs(stuck.released))
        hanging, working = webhook(stuck, "stuck"), webhook(receiver)
        waiting = outbox.send_test(hanging)
        eventually("the stuck receiver is asked", lambda: stuck.attempts, 60)
        sent = outbox.send_test(working)
        eventually("the other one is delivered", lambda: fresh(sent).status == "delivered")
        assert fresh(waiting).status == "pending", notifier.read_text()
        assert receiver.ids() == [str(sent.pk)]


@pytest.mark.usefixtures("notifier")
def test_an_attempt_that_failed_is_made_again_within_seconds(webhook: MakeChannel, receiver: Receiver) -> None:
    receiver.will(faults.answers(503))
    row = outbox.send_test(webhook(receiver))
    eventually("it is delivered", lambda: fresh(row).status == "delivered", 60)
    assert fresh(row).attempts == 2
    assert {attempt["webhook-id"] for attempt in receiver.attempts} == {str(row.pk)}


def test_the_log_channel_writes_a_line_of_json(notifier: Path) -> None:
    row = outbox.send_test(Channel.objects.create(name="log", kind="log"))
    eventually("it is delivered", lambda: fresh(row).status == "delivered", 60)
    subject = "[test] Agent monitoring reaches channel log"
    assert f'"event_type":"notification","subject":"{subject}","id":"{row.pk}"' in notifier.read_text()


@pytest.mark.usefixtures("notifier")
def test_the_sweep_delivers_what_nobody_was_asked_for(webhook: MakeChannel, receiver: Receiver) -> None:
    row = outbox.send_test(webhook(receiver, enabled=False))
    eventually("the queue is taken", lambda: not redis.Redis.from_url(app.conf.broker_url).llen("notifications"), 60)
    Channel.objects.update(enabled=True)
    assert Notification.objects.get().status == "pending"
    app.send_task("monitoring.sweep_notifications", queue="notifications")
    eventually("it is delivered", lambda: fresh(row).status == "delivered", 60)
