"""`manage.py sink` as a process, and what it does with what it should not get."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from apps.monitoring.notify.channels.email.channel import EmailChannel
from apps.monitoring.notify.channels.outcome import Delivered, Rejected
from apps.monitoring.notify.channels.pagerduty.channel import PagerDutyChannel
from apps.monitoring.notify.channels.sentry.channel import SentryChannel
from apps.monitoring.notify.channels.slack.channel import SlackChannel
from apps.monitoring.notify.channels.webhook.channel import WebhookChannel
from tests.integration.notify.conftest import SECRET
from tests.integration.notify.processes import ROOT
from tests.sinks.example import alert, message
from tests.sinks.receiver import Receiver


@dataclass
class Sink:
    process: subprocess.Popen[str]
    smtp_port: int
    http_port: int
    file: Path

    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.file.read_text().splitlines()]


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    file = tmp_path / "arrivals.jsonl"
    arguments = ["--smtp-port", "0", "--http-port", "0", "--secret", SECRET, "--file", str(file)]
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sink", *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    listening = re.fullmatch(r"mail on port (\d+), http on port (\d+)\n", process.stdout.readline())
    assert listening
    yield Sink(process, int(listening[1]), int(listening[2]), file)
    process.kill()
    process.wait()
    process.stdout.close()


def test_it_shows_and_keeps_what_each_channel_sends_and_ends_when_told_to(sink: Sink) -> None:
    sent, address = message(), f"127.0.0.1:{sink.http_port}"
    outcomes = [
        WebhookChannel().deliver(sent, {"url": f"http://{address}/"}, {"secret": SECRET}),
        SentryChannel().deliver(sent, {}, {"dsn": f"http://key@{address}/1"}),
        EmailChannel().deliver(
            sent, {"to": ["a@example.com"], "from": "b@example.com"}, {"url": f"smtp://127.0.0.1:{sink.smtp_port}"}
        ),
        SlackChannel().deliver(sent, {}, {"url": f"http://{address}/slack/services/T/B/X"}),
        PagerDutyChannel().deliver(sent, {"url": f"http://{address}/v2/enqueue"}, {"routing_key": "k" * 32}),
    ]
    assert outcomes == [Delivered()] * 5
    assert [line["channel"] for line in sink.lines()] == ["webhook", "sentry", "email", "slack", "pagerduty"]
    sink.process.send_signal(signal.SIGTERM)
    said, _ = sink.process.communicate(timeout=20)
    assert sink.process.returncode == 0
    for channel in ("webhook", "sentry", "email", "slack", "pagerduty"):
        assert f" {channel} arrived" in said
    assert "[critical] error-rate-5m firing for airline" in said


def test_a_webhook_that_is_not_signed_is_refused(sink: Sink) -> None:
    outcome = WebhookChannel().deliver(message(), {"url": f"http://127.0.0.1:{sink.http_port}/"}, {})
    assert outcome == Rejected("the receiver answered 401")
    assert not sink.file.exists()


def test_its_page_lists_what_arrived_and_runs_none_of_it(receiver: Receiver) -> None:
    sent = message(text="<script>alert(1)</script>", alerts=[alert("<script>alert(2)</script>")])
    WebhookChannel().deliver(sent, {"url": receiver.url}, {})
    page = httpx.get(f"http://{receiver.address}/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/", b"no json", {}),
        ("/", b"[1]", {}),
        ("/", b"\xff\xfe", {}),
        ("/", b"{}", {"content-encoding": "gzip"}),
        ("/api/1/envelope/", b"no envelope", {}),
    ],
)
def test_what_cannot_be_read_is_refused_in_one_line(
    receiver: Receiver, path: str, body: bytes, headers: dict[str, str]
) -> None:
    answer = httpx.post(f"http://{receiver.address}{path}", content=body, headers=headers)
    assert (answer.status_code, answer.text.count("\n")) == (400, 1)


def test_a_client_report_is_taken_and_not_shown(receiver: Receiver) -> None:
    report = b'{}\n{"type":"client_report","length":2}\n{}\n'
    assert httpx.post(f"http://{receiver.address}/api/1/envelope/", content=report).status_code == 200
    assert receiver.arrivals("sentry") == []


def test_a_port_that_is_taken_is_one_clear_line(receiver: Receiver) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "sink", "--smtp-port", "0", "--http-port", str(receiver.port)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == (
        "CommandError: the sink cannot listen: Address already in use; --smtp-port and --http-port choose other ports\n"
    )
