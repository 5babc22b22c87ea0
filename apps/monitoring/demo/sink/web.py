"""The receiver of webhooks, Sentry envelopes, Slack messages and PagerDuty events, and a page that shows what arrived."""

from __future__ import annotations

import gzip
import html
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from sentry_sdk.envelope import Envelope
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from apps.monitoring.demo.sink import pagerduty, slack
from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from apps.monitoring.demo.sink.reply import Reply

Behave = Callable[[BaseHTTPRequestHandler], bool]
"""Called with each POST before it is read; True when it has answered in its own way (or not at all)."""

_LONGEST_BODY: Final = 1 << 20


class Server(ThreadingHTTPServer):
    """On the loopback interface. With a secret, webhooks must be signed; ``behave`` lets it be a bad receiver."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, arrivals: Arrivals, port: int, behave: Behave | None = None, secret: str = "") -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.arrivals = arrivals
        self.secret = secret
        self.behave = behave


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.server.behave is not None and self.server.behave(self):
            return
        try:
            reply = self._take()
        except WebhookVerificationError as error:
            reply = Reply.text(401, f"{error}\n")
        except (ValueError, TypeError, OSError) as error:  # no JSON, no gzip, no envelope
            reply = Reply.text(400, f"this cannot be read: {error}\n")
        self._answer(reply)

    def _take(self) -> Reply:
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), _LONGEST_BODY))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.endswith("/envelope/"):
            return self._take_envelope(body, headers)
        if self.path.startswith((slack.API, slack.WEBHOOK)):
            return slack.take(self.server.arrivals, self.path, _object(body), headers)
        if self.path == pagerduty.PATH:
            return pagerduty.take(self.server.arrivals, _object(body), headers)
        return self._take_webhook(body, headers)

    def _take_webhook(self, body: bytes, headers: dict[str, str]) -> Reply:
        if self.server.secret:
            Webhook(self.server.secret).verify(body, headers)
        payload = _object(body)
        self.server.arrivals.add(Arrival("webhook", _title(payload), headers, {"raw": body.decode(), **payload}))
        return Reply.json(200, {})

    def _take_envelope(self, body: bytes, headers: dict[str, str]) -> Reply:
        event = Envelope.deserialize(body).get_event()
        if event is not None:  # else a client report, a session: nothing that anybody wants to read
            message = event.get("message") or event.get("logentry") or {}
            title = message.get("formatted") or message.get("message") if isinstance(message, dict) else message
            self.server.arrivals.add(Arrival("sentry", str(title or "an event"), headers, dict(event)))
        return Reply.json(200, {})

    def do_GET(self) -> None:
        rows = "".join(
            f"<tr><td>{time.strftime('%H:%M:%S', time.localtime(a.at))}<td>{a.channel}<td>{html.escape(a.title)}"
            for a in reversed(self.server.arrivals.all())
        )
        page = (
            "<!doctype html><meta charset=utf-8><meta http-equiv=refresh content=5><title>Sink</title>"
            "<style>body{font-family:system-ui;margin:2em}td{padding:.3em 1em;border-top:1px solid #ccc}</style>"
            f"<h1>What the channels sent</h1><table>{rows or '<tr><td>nothing yet'}</table>"
        )
        self._answer(Reply(200, page.encode(), "text/html; charset=utf-8"))

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("content-type", reply.content_type)
        self.send_header("content-length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, *_: Any) -> None:
        """What arrives is printed by whoever listens."""


def _object(body: bytes) -> dict[str, Any]:
    payload = json.loads(body)
    if not isinstance(payload, dict):
        raise TypeError("the body is no JSON object")
    return payload


def _title(payload: dict[str, Any]) -> str:
    return f"{payload.get('kind')} {payload.get('rule', {}).get('name')}: {payload.get('text', '')}"
