"""A mail server on an address of its own, that can be down or refuse."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from aiosmtpd.controller import Controller

from apps.monitoring.demo.sink import mail
from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals
from config.embedded.process import free_port


class Mailbox:
    """Up while its context lasts; keeps its port while it is down."""

    def __init__(self) -> None:
        self.port = free_port()
        self.refusals: dict[str, str] = {}
        """The reply at a stage (RCPT, RCPT and an address, DATA) that refuses."""
        self._arrivals = Arrivals()
        self._server: Controller | None = None

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.down()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @property
    def is_up(self) -> bool:
        return self._server is not None

    def up(self) -> None:
        self._server = mail.server(self._arrivals, self.port, self.refusals.get)
        self._server.start()

    def down(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def arrivals(self) -> list[Arrival]:
        return self._arrivals.all()
