"""The receiver of webhooks and Sentry envelopes, and a page that shows what arrived."""

from __future__ import annotations

import gzip
import html
import json
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals

Behave = Callable[[BaseHTTPRequestHandler], bool]
"""Called with each POST before it is read; True when it has answered in its own way (or not at all)."""


class Server(ThreadingHTTPServer):
    """On the loopback interface; ``behave`` lets tests be a bad receiver."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, arrivals: Arrivals, port: int, behave: Behave | None = None) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.arrivals = arrivals
        self.behave = behave


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        if self.server.behave is not None and self.server.behave(self):
            return
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.path.endswith("/envelope/"):
            self._take_envelope(body, headers)
        else:
            payload = json.loads(body)
            self.server.arrivals.add(Arrival("webhook", _title(payload), headers, {"raw": body.decode(), **payload}))
        self._answer(200, b"{}", "application/json")

    def _take_envelope(self, body: bytes, headers: dict[str, str]) -> None:
        lines = body.split(b"\n")
        for item, content in zip(lines[1::2], lines[2::2], strict=False):
            if item and json.loads(item).get("type") == "event":
                event = json.loads(content)
                self.server.arrivals.add(Arrival("sentry", str(event.get("message")), headers, event))

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
