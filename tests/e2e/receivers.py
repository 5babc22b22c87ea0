"""Where the channels deliver to in a test: a mail server, a webhook receiver and a Sentry endpoint, all real."""

from __future__ import annotations

import re
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from standardwebhooks.webhooks import Webhook

from apps.monitoring.demo.sink import mail, web
from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from config.embedded.process import free_port

_SUBJECT = re.compile(r"\[(?P<severity>\w+)\] (?P<rule>[\w-]+) (?P<kind>\w+) for .+")
_TENANT = re.compile(r"^  (?P<tenant>[^:]+): ", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Received:
    """What a receiver can tell of one notification. A mail does not say its minute: that is None."""

    id: str
    minute: str | None
    rule: str
    kind: str
    tenants: tuple[str, ...]


@dataclass
class Receivers:
    """One address each. Every webhook must carry a signature that the reference library verifies."""

    smtp_port: int = field(default_factory=free_port)
    http_port: int = field(default_factory=free_port)
    secret: str = field(default_factory=lambda: "whsec_" + b64encode(secrets.token_bytes(24)).decode())
    arrivals: Arrivals = field(default_factory=Arrivals)

    def environment(self) -> dict[str, str]:
        """What makes `setup_monitoring` create a channel to each."""
        return {
            "EMAIL_URL": f"smtp://127.0.0.1:{self.smtp_port}",
            "MONITORING_ALERT_EMAILS": "ops@example.com",
            "MONITORING_WEBHOOK_URL": f"http://127.0.0.1:{self.http_port}/hook",
            "MONITORING_WEBHOOK_SECRET": self.secret,
            "MONITORING_ALLOWED_WEBHOOK_HOSTS": f"127.0.0.1:{self.http_port}",
            "SENTRY_DSN": f"http://key@127.0.0.1:{self.http_port}/1",
        }

    def webhooks(self) -> list[Received]:
        for arrival in self.arrivals.all("webhook"):
            Webhook(self.secret).verify(arrival.body["raw"], arrival.headers)
        return [_payload(arrival.headers["webhook-id"], arrival.body) for arrival in self.arrivals.all("webhook")]

    def events(self) -> list[Received]:
        events = [arrival.body for arrival in self.arrivals.all("sentry")]
        assert all(event.get("logger") == "monitoring.notifications" for event in events), f"an error was reported: {events}"
        assert len({event["event_id"] for event in events}) == len(events), "an event arrived twice"
        return _notifications([_payload(event["contexts"]["alert"]["id"], event["contexts"]["alert"]) for event in events])

    def mails(self) -> list[Received]:
        return [_mail(arrival) for arrival in self.arrivals.all("email")]


@contextmanager
def receivers() -> Iterator[Receivers]:
    """Started receivers."""
    opened = Receivers()
    smtp, http = mail.server(opened.arrivals, opened.smtp_port), web.Server(opened.arrivals, opened.http_port)
    smtp.start()
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    try:
        yield opened
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
        smtp.stop()


def _payload(identity: str, body: dict[str, object]) -> Received:
    alerts, rule = body["alerts"], body["rule"]
    assert isinstance(alerts, list)
    assert isinstance(rule, dict)
    assert body["count"] == len(alerts)
    tenants = tuple(sorted(alert["tenant"] for alert in alerts))
    return Received(identity.replace("-", ""), str(body["minute"]), rule["name"], str(body["kind"]), tenants)


def _notifications(events: Sequence[Received]) -> list[Received]:
    """Sentry gets an event for each tenant of a notification."""
    whole: dict[str, Received] = {}
    for event in events:
        told = whole.get(event.id, replace(event, tenants=()))
        assert not set(told.tenants) & set(event.tenants), f"{event.tenants} were told twice in one notification"
        whole[event.id] = replace(event, tenants=tuple(sorted((*told.tenants, *event.tenants))))
    return list(whole.values())


def _mail(arrival: Arrival) -> Received:
    assert arrival.body["to"] == ["ops@example.com"]
    subject = _SUBJECT.fullmatch(arrival.title)
    assert subject, arrival.title
    tenants = tuple(sorted(_TENANT.findall(arrival.body["text"])))
    return Received(arrival.headers["x-notification-id"].replace("-", ""), None, subject["rule"], subject["kind"], tenants)
