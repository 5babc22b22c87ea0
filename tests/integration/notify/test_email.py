"""Mail to a real server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence

import pytest
from pytest_django import Settings

from apps.monitoring.core.lifecycle import Notice
from apps.monitoring.models import Channel, Notification
from apps.monitoring.notify import outbox
from apps.monitoring.notify.channels.email import server
from apps.monitoring.notify.channels.email.channel import EmailChannel
from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Partly, Rejected, Retry
from apps.monitoring.notify.delivery import deliver_channel
from apps.monitoring.notify.message import Message
from apps.monitoring.notify.thread import Thread
from tests.integration.notify.conftest import Clock, Told, fresh
from tests.integration.notify.rows import MINUTE
from tests.sinks.example import alert, message, thread
from tests.sinks.mailbox import Mailbox

CONFIG = {"to": ["ops@example.com", "duty@example.com"], "from": "Monitoring <monitoring@example.com>"}


def deliver(mailbox: Mailbox, sent: Message | None = None, threads: Sequence[Thread] = ()) -> Outcome:
    return EmailChannel().deliver(sent or message(), CONFIG, {"url": mailbox.url}, threads)


class TestTheMail:
    def test_it_says_the_same_as_text_and_as_html(self, mailbox: Mailbox) -> None:
        assert deliver(mailbox) == Delivered()
        (mail,) = mailbox.arrivals()
        assert mail.title == "[critical] error-rate-5m firing for airline"
        assert mail.body["to"] == CONFIG["to"]
        for part in ("text", "html"):
            assert "error-rate-5m is firing for airline." in mail.body[part]
            assert "https://runbooks.example/errors" in mail.body[part]

    def test_each_alert_leads_to_its_page_in_the_admin(self, mailbox: Mailbox) -> None:
        page = "https://monitoring.example/admin/monitoring/alert/7/change/"
        deliver(mailbox, message(alerts=[alert(links={"dashboard": "https://monitoring.example/dashboard/", "alert": page})]))
        (mail,) = mailbox.arrivals()
        assert f'<a href="{page}">25 % &gt; 10 %</a>' in mail.body["html"]

    def test_a_test_says_what_it_shows_and_tells_of_no_rule(self, mailbox: Mailbox) -> None:
        reached = "Agent monitoring reaches channel c-mail"
        deliver(mailbox, message(kind="test", text=f"{reached}.", alerts=[alert(None, value=None, reason=reached, links={})]))
        (mail,) = mailbox.arrivals()
        assert mail.title == f"[test] {reached}"
        for part in ("text", "html"):
            assert reached in mail.body[part]
            assert "error_rate" not in mail.body[part]

    def test_it_is_named_by_the_notifications_id(self, mailbox: Mailbox) -> None:
        sent = message()
        deliver(mailbox, sent)
        deliver(mailbox, sent)
        assert [mail.headers["message-id"] for mail in mailbox.arrivals()] == [f"<{sent.id}@monitoring.example>"] * 2

    def test_what_follows_answers_the_mail_that_announced_it(self, mailbox: Mailbox) -> None:
        opened = message(kind="firing")
        deliver(mailbox, opened)
        deliver(mailbox, message(kind="resolved"), [thread(opened)])
        firing, resolved = (mail.headers for mail in mailbox.arrivals())
        assert "references" not in firing
        assert "in-reply-to" not in firing
        assert resolved["references"] == resolved["in-reply-to"] == firing["message-id"]

    def test_an_end_of_several_answers_them_all(self, mailbox: Mailbox) -> None:
        before = [message(), message()]
        deliver(mailbox, message(kind="resolved"), [thread(opened) for opened in before])
        (mail,) = mailbox.arrivals()
        assert mail.headers["references"] == " ".join(f"<{opened.id}@monitoring.example>" for opened in before)

    def test_machines_know_it_for_what_it_is(self, mailbox: Mailbox) -> None:
        deliver(mailbox)
        (mail,) = mailbox.arrivals()
        assert mail.headers["list-id"] == "Agent monitoring <alerts.monitoring.example>"
        assert mail.headers["auto-submitted"] == "auto-generated"

    def test_a_tenants_name_adds_no_header_and_no_markup(self, mailbox: Mailbox) -> None:
        evil = "a\r\nBcc: evil@example.com\r\n\r\n<script>alert(1)</script>"
        assert deliver(mailbox, message(alerts=[alert(evil)], text=evil)) == Delivered()
        (mail,) = mailbox.arrivals()
        assert "bcc" not in mail.headers
        assert mail.body["to"] == CONFIG["to"]
        assert "<script>" not in mail.body["html"]

    def test_it_goes_to_the_server_of_the_settings_unless_the_channel_has_its_own(
        self, mailbox: Mailbox, settings: Settings
    ) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        settings.DEFAULT_FROM_EMAIL = "default@example.com"
        assert EmailChannel().deliver(message(), {"to": ["ops@example.com"]}, {}) == Delivered()
        assert mailbox.arrivals()[0].headers["from"] == "default@example.com"


class TestTheServer:
    def test_down_and_then_back(self, mailbox: Mailbox) -> None:
        mailbox.down()
        assert deliver(mailbox) == Retry("the mail server cannot be reached: Connection refused")
        mailbox.up()
        assert deliver(mailbox) == Delivered()

    @pytest.mark.parametrize("stage", ["RCPT", "DATA"])
    def test_a_refusal_for_now_is_tried_again(self, mailbox: Mailbox, stage: str) -> None:
        mailbox.refusals[stage] = "451 come back later"
        assert isinstance(deliver(mailbox), Retry)
        mailbox.refusals.clear()
        assert deliver(mailbox) == Delivered()

    @pytest.mark.parametrize(("stage", "reply"), [("RCPT", "550 nobody of that name"), ("DATA", "554 not wanted")])
    def test_a_refusal_for_good_is_not(self, mailbox: Mailbox, stage: str, reply: str) -> None:
        mailbox.refusals[stage] = reply
        outcome = deliver(mailbox)
        assert isinstance(outcome, Rejected)
        assert reply[:3] in outcome.reason

    def test_one_that_sends_a_byte_now_and_then_is_left(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "TOTAL_SECONDS", 1.0)
        left = threading.Event()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            threading.Thread(target=_drip, args=(listening, left), daemon=True).start()
            began = time.monotonic()
            url = f"smtp://127.0.0.1:{listening.getsockname()[1]}"
            outcome = EmailChannel().deliver(message(), CONFIG, {"url": url})
            left.set()
        assert outcome == Retry("the mail server did not answer in time")
        assert time.monotonic() - began < 8

    def test_a_password_stands_in_no_reason(self, mailbox: Mailbox) -> None:
        url = f"smtp://someone:a-secret-password@127.0.0.1:{mailbox.port}"
        outcome = EmailChannel().deliver(message(), CONFIG, {"url": url})  # this server offers no login
        assert isinstance(outcome, Retry)
        assert "a-secret-password" not in repr(outcome)


class TestOneOfTheRecipients:
    @pytest.fixture
    def channel(self, db: None, mailbox: Mailbox) -> Channel:
        return Channel.objects.create(name="mail", kind="email", config=CONFIG, secrets={"url": mailbox.url})

    def recipients(self, mailbox: Mailbox) -> list[list[str]]:
        return [mail.body["to"] for mail in mailbox.arrivals()]

    def test_that_is_refused_for_now_gets_it_later_and_the_other_once(
        self, mailbox: Mailbox, channel: Channel, told: Told, clock: Clock
    ) -> None:
        mailbox.refusals["RCPT duty@example.com"] = "451 greylisted, come back later"
        row = told(channel)
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock).failed == 1
        waiting = fresh(row)
        assert (waiting.status, waiting.last_error) == (
            "pending",
            "the mail server refused for now: duty@example.com (451)",
        )
        assert Channel.objects.get().failures == 0
        mailbox.refusals.clear()
        clock.passes(seconds=10)
        assert deliver_channel(channel.pk, clock).delivered == 1
        assert self.recipients(mailbox) == [["ops@example.com"], ["duty@example.com"]]
        first, second = (mail.headers["message-id"] for mail in mailbox.arrivals())
        assert first == second
        assert (fresh(row).status, Channel.objects.get().last_error) == ("delivered", "")

    def test_that_is_refused_for_good_is_named_where_ops_look(
        self, mailbox: Mailbox, channel: Channel, told: Told, clock: Clock
    ) -> None:
        mailbox.refusals["RCPT duty@example.com"] = "550 nobody of that name"
        row = told(channel)
        clock.passes(seconds=1)
        assert deliver_channel(channel.pk, clock).delivered == 1
        said = "the mail server refused for good: duty@example.com (550); the others have it"
        assert (fresh(row).status, fresh(row).last_error, Channel.objects.get().last_error) == ("delivered", said, said)
        assert self.recipients(mailbox) == [["ops@example.com"]]

    def test_that_is_refused_holds_back_nothing_for_the_other(
        self, mailbox: Mailbox, channel: Channel, told: Told, clock: Clock
    ) -> None:
        mailbox.refusals["RCPT duty@example.com"] = "452 mailbox full"
        told(channel)
        told(channel, notice=Notice.RESOLVED, minute=MINUTE + 1)
        clock.passes(seconds=1)
        deliver_channel(channel.pk, clock)
        titles = [(mail.title.split()[2], mail.body["to"]) for mail in mailbox.arrivals()]
        assert titles == [("firing", ["ops@example.com"]), ("resolved", ["ops@example.com"])]

    def test_that_never_takes_it_is_given_up_after_a_day_and_alone_gets_what_is_sent_again(
        self, mailbox: Mailbox, channel: Channel, told: Told, clock: Clock
    ) -> None:
        mailbox.refusals["RCPT duty@example.com"] = "452 mailbox full"
        row = told(channel)
        clock.passes(seconds=1)
        deliver_channel(channel.pk, clock)
        clock.passes(hours=25)
        assert deliver_channel(channel.pk, clock).dead == 1
        assert fresh(row).last_error.startswith("given up after 24 hours: the mail server refused for now")
        mailbox.refusals.clear()
        assert outbox.resend(Notification.objects.all()) == 1
        assert deliver_channel(channel.pk, clock).delivered == 1
        assert self.recipients(mailbox) == [["ops@example.com"], ["duty@example.com"]]

    def test_may_have_a_name_that_is_not_ascii(self, mailbox: Mailbox) -> None:
        config = CONFIG | {"to": ["ops@example.com", "duty@b\u00fccher.example"]}
        mailbox.refusals["RCPT duty@xn--bcher-kva.example"] = "451 later"
        outcome = EmailChannel().deliver(message(), config, {"url": mailbox.url})
        assert isinstance(outcome, Partly)
        assert outcome.receipt["taken"] == ["ops@example.com"]


class TestTheConfiguration:
    @pytest.mark.parametrize(
        ("config", "secrets"),
        [
            ({}, {}),
            ({"to": "ops@example.com"}, {}),
            ({"to": []}, {}),
            ({"to": ["ops"]}, {}),
            ({"to": ["ops@example.com\nBcc: evil@example.com"]}, {}),
            ({"to": ["ops@example.com"], "from": "nobody"}, {}),
            ({"to": ["ops@example.com"], "from": "A <a@example.com>\r\nBcc: evil@example.com"}, {}),
            ({"to": ["ops@example.com"]}, {"url": "http://mail.example.com"}),
            ({"to": ["ops@example.com"]}, {"url": "smtp://user:with/a/slash@mail.example.com"}),
        ],
    )
    def test_what_cannot_work_is_a_problem_and_sends_nothing(self, config: dict[str, object], secrets: dict[str, str]) -> None:
        assert EmailChannel().problems(config, secrets)
        assert isinstance(EmailChannel().deliver(message(), config, secrets), Rejected)

    def test_what_can_work_is_none(self) -> None:
        assert EmailChannel().problems(CONFIG, {"url": "smtp+tls://user:password@mail.example.com:587"}) == []


def _drip(listening: socket.socket, left: threading.Event) -> None:
    """Greet without an end, a byte each tenth of a second."""
    connection, _ = listening.accept()
    with connection:
        connection.sendall(b"220-")
        while not left.wait(0.1):
            try:
                connection.sendall(b"a")
            except OSError:
                return
