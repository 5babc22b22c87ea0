"""A receiver of webhooks, Sentry envelopes, Slack messages and PagerDuty events on an address of its own, that can be down, slow or broken."""

from __future__ import annotations

import ssl
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Self

from apps.monitoring.demo.sink import pagerduty, slack, web
from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from config.embedded.process import free_port


class Receiver:
    """Up while its context lasts; keeps its port while it is down."""

    def __init__(self, secret: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self.released = threading.Event()
        """Set to let every request go that hangs."""
        self.attempts: list[dict[str, str]] = []
        """The headers of each request, whatever became of it."""
        self._secret = secret
        self._tls = tls
        self._arrivals = Arrivals()
        self._plan: deque[web.Behave] = deque()
        self._always: web.Behave | None = None
        self._server: web.Server | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.released.set()
        self.down()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def slack_api(self) -> str:
        return f"http://{self.address}{slack.API}"

    @property
    def slack_webhook(self) -> str:
        return f"http://{self.address}{slack.WEBHOOK}T000/B000/XXX"

    @property
    def pagerduty_url(self) -> str:
        return f"http://{self.address}{pagerduty.PATH}"

    @property
    def dsn(self) -> str:
        return f"http://public-key@127.0.0.1:{self.port}/7"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def up(self) -> None:
        self._server = web.Server(self._arrivals, self.port, self._behave, self._secret)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def down(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def will(self, *faults: web.Behave) -> None:
        """Treat the next requests so, one after the other."""
        self._plan.extend(faults)

    def always(self, fault: web.Behave | None) -> None:
        """Treat every request so that nothing else is planned for."""
        self._always = fault

    def arrivals(self, channel: str = "webhook") -> list[Arrival]:
        return self._arrivals.all(channel)

    def ids(self) -> list[str]:
        """The ids of the webhooks that arrived, in order."""
        return [arrival.headers["webhook-id"] for arrival in self.arrivals()]

    def _behave(self, request: BaseHTTPRequestHandler) -> bool:
        self.attempts.append({name.lower(): value for name, value in request.headers.items()})
        fault = self._plan.popleft() if self._plan else self._always
        return fault is not None and fault(request)
