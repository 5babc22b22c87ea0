"""Webhooks to a real receiver that behaves well, and to one that does not."""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jsonschema import Draft202012Validator
from pytest_django import Settings
from standardwebhooks.webhooks import Webhook

from apps.monitoring.notify import message as message_module
from apps.monitoring.notify.channels import address, http
from apps.monitoring.notify.channels.outcome import Delivered, Outcome, Rejected, Retry
from apps.monitoring.notify.channels.webhook.channel import WebhookChannel
from tests.integration.notify.conftest import SECRET
from tests.sinks import faults
from tests.sinks.example import message
from tests.sinks.receiver import Receiver


def deliver(receiver: Receiver, secret: str = SECRET) -> Outcome:
    return WebhookChannel().deliver(message(), {"url": receiver.url}, {"secret": secret})


class TestAGoodReceiver:
    def test_it_gets_the_payload_under_the_notifications_id(self, receiver: Receiver) -> None:
        sent = message()
        assert WebhookChannel().deliver(sent, {"url": receiver.url}, {"secret": SECRET}) == Delivered()
        (arrival,) = receiver.arrivals()
        assert json.loads(arrival.body["raw"]) == json.loads(json.dumps(sent.payload()))
        assert arrival.headers["webhook-id"] == sent.id
        assert arrival.headers["content-type"] == "application/json"
        assert abs(int(arrival.headers["webhook-timestamp"]) - time.time()) < 10

    def test_what_it_gets_fits_the_schema(self, receiver: Receiver) -> None:
        deliver(receiver)
        schema = json.loads((Path(message_module.__file__).parent / "message.schema.json").read_text())
        Draft202012Validator(schema).validate(json.loads(receiver.arrivals()[0].body["raw"]))

    def test_it_can_verify_the_signature(self, receiver: Receiver) -> None:
        deliver(receiver)
        (arrival,) = receiver.arrivals()
        Webhook(SECRET).verify(arrival.body["raw"], arrival.headers)

    def test_without_a_secret_it_gets_no_signature(self, receiver: Receiver) -> None:
        assert deliver(receiver, secret="") == Delivered()
        assert "webhook-signature" not in receiver.arrivals()[0].headers

    def test_one_that_has_another_secret_refuses(self) -> None:
        with Receiver(secret="whsec_" + "B" * 32) as receiver:
            assert deliver(receiver) == Rejected("the receiver answered 401")
            assert receiver.arrivals() == []

    def test_a_secret_that_is_none_sends_nothing(self, receiver: Receiver) -> None:
        assert isinstance(deliver(receiver, secret="short"), Rejected)
        assert receiver.attempts == []


class TestABadReceiver:
    @pytest.mark.parametrize("status", [408, 429, 500, 503])
    def test_what_may_pass_is_tried_again(self, receiver: Receiver, status: int) -> None:
        receiver.will(faults.answers(status))
        assert deliver(receiver) == Retry(f"the receiver answered {status}")

    @pytest.mark.parametrize("status", [400, 401, 404, 410, 422])
    def test_what_is_refused_is_not(self, receiver: Receiver, status: int) -> None:
        receiver.will(faults.answers(status))
        assert deliver(receiver) == Rejected(f"the receiver answered {status}")

    def test_the_time_it_asks_for_is_kept(self, receiver: Receiver) -> None:
        receiver.will(faults.answers(429, Retry_After="90"))
        assert deliver(receiver) == Retry("the receiver answered 429", 90.0)

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, receiver: Receiver, status: int) -> None:
        with Receiver() as elsewhere:
            receiver.will(faults.answers(status, Location=elsewhere.url))
            assert deliver(receiver) == Rejected(f"the receiver answered {status}")
            assert elsewhere.attempts == []

    def test_one_that_hangs_is_left(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_TOTAL_SECONDS", 0.5)
        receiver.will(faults.hangs(receiver.released))
        assert deliver(receiver) == Retry("the receiver did not answer in time")

    def test_one_that_sends_a_byte_now_and_then_is_left_too(self, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(http, "_TOTAL_SECONDS", 0.5)
        receiver.will(faults.drips(receiver.released))
        assert deliver(receiver) == Retry("the receiver did not answer in time")

    def test_one_that_breaks_off_before_it_answers_is_tried_again(self, receiver: Receiver) -> None:
        receiver.will(faults.resets)
        outcome = deliver(receiver)
        assert isinstance(outcome, Retry)
        assert outcome.reason.startswith("the receiver cannot be reached: ")

    def test_one_that_breaks_off_after_it_took_it_is_not_told_twice(self, receiver: Receiver) -> None:
        receiver.will(faults.resets_mid_body)
        assert deliver(receiver) == Delivered()
        assert len(receiver.arrivals()) == 1

    def test_an_answer_without_an_end_is_not_read(self, receiver: Receiver) -> None:
        receiver.will(faults.floods)
        began = time.monotonic()
        assert deliver(receiver) == Delivered()
        assert time.monotonic() - began < 5

    def test_one_that_is_down_is_tried_again(self, receiver: Receiver) -> None:
        receiver.down()
        assert deliver(receiver) == Retry("the receiver cannot be reached: Connection refused")
        receiver.up()
        assert deliver(receiver) == Delivered()

    def test_one_that_ops_no_longer_allow_is_not_reached(self, receiver: Receiver, settings: Settings) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = []
        assert isinstance(deliver(receiver), Rejected)
        assert receiver.attempts == []


class TestItsAddress:
    def test_a_name_that_changes_its_mind_is_asked_once_and_reached_where_it_was_judged(
        self, receiver: Receiver, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["rebind.example"]
        asked: list[str] = []
        really = socket.getaddrinfo

        def changing(host: str, port: int, *args: object, **options: object) -> object:
            if host != "rebind.example":
                return really(host, port, *args, **options)  # type: ignore[arg-type]
            asked.append(host)
            address = "127.0.0.1" if len(asked) == 1 else "127.0.0.9"  # where nobody listens
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

        monkeypatch.setattr(socket, "getaddrinfo", changing)
        url = f"http://rebind.example:{receiver.port}/hook"
        assert WebhookChannel().deliver(message(), {"url": url}, {}) == Delivered()
        assert asked == ["rebind.example"]
        assert receiver.attempts[0]["host"] == f"rebind.example:{receiver.port}"

    def test_one_of_several_addresses_that_is_private_is_one_too_many(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = []

        def both(host: str, port: int, *args: object, **options: object) -> object:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in ("93.184.215.14", "10.0.0.1")]

        monkeypatch.setattr(socket, "getaddrinfo", both)
        assert isinstance(WebhookChannel().deliver(message(), {"url": "http://both.example/"}, {}), Rejected)

    def test_a_resolver_that_hangs_is_not_waited_for(self, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = []
        left = threading.Event()
        monkeypatch.setattr(address, "_LOOKUP_SECONDS", 0.5)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [] * left.wait(60))
        began = time.monotonic()
        outcome = WebhookChannel().deliver(message(), {"url": "http://slow.example/"}, {})
        left.set()
        assert outcome == Retry("slow.example cannot be resolved")
        assert time.monotonic() - began < 10

    @pytest.mark.parametrize("path", ["/a\r\nx-evil: 1\r\n", "/a\nx-evil: 1", "/a HTTP/1.1\r\nx-evil: 1"])
    def test_it_adds_no_header(self, receiver: Receiver, path: str) -> None:
        WebhookChannel().deliver(message(), {"url": f"http://{receiver.address}{path}"}, {})
        assert not any("x-evil" in attempt for attempt in receiver.attempts)


class TestEncryption:
    """The connection goes to the judged address; the name that was configured is whom it must be."""

    @pytest.fixture
    def authority(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        http._authorities.cache_clear()
        yield tmp_path
        http._authorities.cache_clear()

    def test_a_certificate_of_the_name_is_taken(self, authority: Path, settings: Settings) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["localhost"]
        with Receiver(tls=_certified(authority, "localhost")) as receiver:
            url = f"https://localhost:{receiver.port}/hook"
            assert WebhookChannel().deliver(message(), {"url": url}, {}) == Delivered()
            assert receiver.arrivals()[0].headers["host"] == f"localhost:{receiver.port}"

    def test_one_of_another_name_is_not(self, authority: Path, settings: Settings) -> None:
        settings.MONITORING_ALLOWED_WEBHOOK_HOSTS = ["localhost"]
        with Receiver(tls=_certified(authority, "other.example")) as receiver:
            url = f"https://localhost:{receiver.port}/hook"
            outcome = WebhookChannel().deliver(message(), {"url": url}, {})
            assert isinstance(outcome, Retry)
            assert "certificate is not valid" in outcome.reason
            assert receiver.arrivals() == []


def _certified(folder: Path, name: str) -> ssl.SSLContext:
    """A server's context with a certificate of its own making for a name."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret = folder / "key.pem"
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, secret)
    return context
