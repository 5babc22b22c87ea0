"""The mail server."""

from __future__ import annotations

from email import message_from_bytes
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals


class _Handler:
    def __init__(self, arrivals: Arrivals) -> None:
        self._arrivals = arrivals

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        mail = message_from_bytes(envelope.content, policy=default)
        text = mail.get_body(("plain",))
        html = mail.get_body(("html",))
        self._arrivals.add(
            Arrival(
                "email",
                str(mail["subject"]),
                {name.lower(): str(value) for name, value in mail.items()},
                {
                    "to": list(envelope.rcpt_tos),
                    "text": text.get_content() if text else "",
                    "html": html.get_content() if html else "",
                },
            )
        )
        return "250 taken"


def server(arrivals: Arrivals, port: int) -> Controller:
    """A mail server on the loopback interface, not yet started."""
    return Controller(_Handler(arrivals), hostname="127.0.0.1", port=port, ready_timeout=20)
