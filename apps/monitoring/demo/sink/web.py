"""The receiver of webhooks and Sentry envelopes, and a page that shows what arrived."""

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

from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals

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
            self._take()
        except WebhookVerificationError as error:
            self._answer(401, f"{error}\n".encode(), "text/plain")
        except (ValueError, TypeError, OSError) as error:  # no JSON, no gzip, no envelope
            self._answer(400, f"this cannot be read: {error}\n".encode(), "text/plain")
        else:
            self._answer(200, b"{}", "application/json")

    def _take(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("content-length") or 0), _LONGEST_BODY))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.endswith("/envelope/"):
            self._take_envelope(body, headers)
        else:
            self._take_webhook(body, headers)

    def _take_webhook(self, body: bytes, headers: dict[str, str]) -> None:
        if self.server.secret:
            Webhook(self.server.secret).verify(body, headers)
        payload = json.loads(body)
        if not isinstance(payload, dict):
            raise TypeError("a webhook's body is a JSON object")
        self.server.arrivals.add(Arrival("webhook", _title(payload), headers, {"raw": body.decode(), **payload}))

    def _take_envelope(self, body: bytes, headers: dict[str, str]) -> None:
        event = Envelope.deserialize(body).get_event()
        if event is None:  # a client report, a session: nothing that anybody wants to read
            return
        message = event.get("message") or event.get("logentry") or {}
        title = message.get("formatted") or message.get("message") if isinstance(message, dict) else message
        self.server.arrivals.add(Arrival("sentry", str(title or "an event"), headers, dict(event)))

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
        self._answer(200, page.encode(), "text/html; charset=utf-8")

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """What arrives is printed by whoever listens."""


def _title(payload: dict[str, Any]) -> str:
    return f"{payload.get('kind')} {payload.get('rule', {}).get('name')}: {payload.get('text', '')}"
