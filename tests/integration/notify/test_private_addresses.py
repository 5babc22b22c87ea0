"""No kind of channel is a way into the own network, however the address is written."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from apps.monitoring.notify import channels
from apps.monitoring.notify.channels.outcome import Delivered, Rejected
from tests.sinks.example import message
from tests.sinks.mailbox import Mailbox
from tests.sinks.receiver import Receiver

HOSTS = {
    "loopback": "127.0.0.1",
    "by name": "localhost",
    "unspecified": "0.0.0.0",  # noqa: S104 - where it leads, not where it listens
    "short": "127.1",
    "decimal": "2130706433",
    "hexadecimal": "0x7f000001",
    "octal": "0177.0.0.1",
    "private": "10.1.2.3",
    "another private one": "192.168.1.1",
    "carrier-grade NAT": "100.64.0.1",
    "link-local": "169.254.1.1",
    "metadata": "169.254.169.254",
    "metadata of Azure": "168.63.129.16",
    "metadata of Oracle": "192.0.0.192",
    "metadata of AWS over IPv6": "[fd00:ec2::254]",
    "IPv6 loopback": "[::1]",
    "IPv6 link-local": "[fe80::1]",
    "IPv4-mapped": "[::ffff:127.0.0.1]",
    "IPv4-mapped, in hexadecimal": "[::ffff:a00:1]",
    "6to4 of a private address": "[2002:a00:1::]",
    "NAT64 of loopback": "[64:ff9b::7f00:1]",
}
MAIL = {"to": ["ops@example.com"], "from": "monitoring@example.com"}
_TOKEN = "xoxb-0123456789-0123456789"
CHANNELS: dict[str, Callable[[str], tuple[dict[str, Any], dict[str, Any]]]] = {
    "webhook": lambda at: ({"url": f"http://{at}/"}, {}),
    "slack": lambda at: ({}, {"url": f"http://{at}/"}),
    "slack, a bot": lambda at: ({"channel": "#ops", "api": f"http://{at}/api"}, {"token": _TOKEN}),
    "pagerduty": lambda at: ({"url": f"http://{at}/v2"}, {"routing_key": "k" * 32}),
    "sentry": lambda at: ({}, {"dsn": f"http://key@{at}/1"}),
    "email": lambda at: ({"to": ["ops@example.com"]}, {"url": f"smtp://user:password@{at}"}),
    "email over TLS": lambda at: ({"to": ["ops@example.com"]}, {"url": f"smtp+ssl://{at}"}),
}


def kind_of(name: str) -> str:
    return name.partition(",")[0].partition(" ")[0]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as opened:
        opened.setblocking(False)
        yield opened


@pytest.fixture
def nothing_allowed(settings: Settings) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = []


@pytest.mark.usefixtures("nothing_allowed")
class TestRefused:
    @pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
    @pytest.mark.parametrize("name", CHANNELS)
    def test_it_is_refused_when_it_is_saved_and_again_when_it_is_sent(self, name: str, host: str) -> None:
        config, secrets = CHANNELS[name](f"{host}:9")
        handler = channels.get(kind_of(name))
        (problem,) = handler.problems(config, secrets)
        assert "MONITORING_ALLOWED_WEBHOOK_HOSTS" in problem or "[" in host  # Sentry's DSN loses the brackets on its way
        assert handler.deliver(message(), config, secrets) == Rejected(problem)

    @pytest.mark.parametrize("name", CHANNELS)
    def test_nothing_ever_connects(self, name: str, listening: socket.socket) -> None:
        config, secrets = CHANNELS[name](f"127.0.0.1:{listening.getsockname()[1]}")
        channels.get(kind_of(name)).deliver(message(), config, secrets)
        with pytest.raises(BlockingIOError):
            listening.accept()


class TestAllowed:
    def test_sentry_and_a_mail_server_inside_are_reached_when_ops_allow_them(
        self, receiver: Receiver, mailbox: Mailbox, settings: Settings
    ) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = [f"127.0.0.1:{receiver.port}", f"127.0.0.1:{mailbox.port}"]
        assert channels.get("sentry").deliver(message(), {}, {"dsn": receiver.dsn}) == Delivered()
        assert channels.get("email").deliver(message(), MAIL, {"url": mailbox.url}) == Delivered()

    @pytest.mark.usefixtures("nothing_allowed")
    def test_the_mail_server_of_the_settings_is_the_installers_own_choice(self, mailbox: Mailbox, settings: Settings) -> None:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", mailbox.port
        assert channels.get("email").deliver(message(), MAIL, {}) == Delivered()


def test_a_mail_server_that_changes_its_mind_is_reached_where_it_was_judged(
    mailbox: Mailbox, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["rebind.example"]
    asked: list[str] = []
    really = socket.getaddrinfo

    def changing(host: str, port: int, *args: object, **options: object) -> object:
        if host != "rebind.example":
            return really(host, port, *args, **options)  # type: ignore[arg-type]
        asked.append(host)
        address = "127.0.0.1" if len(asked) <= 2 else "127.0.0.9"  # where nobody listens
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", changing)
    secrets = {"url": f"smtp://rebind.example:{mailbox.port}"}
    assert channels.get("email").deliver(message(), MAIL, secrets) == Delivered()
    assert asked == ["rebind.example"] * 2  # for what is wrong with the channel, and for where to connect
