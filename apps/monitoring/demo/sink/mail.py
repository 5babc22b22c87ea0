"""The mail server."""

from __future__ import annotations

from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.controller import Controller

from apps.monitoring.demo.sink.arrivals import Arrival, Arrivals

Refuse = Callable[[str], str | None]
"""Asked at RCPT, at RCPT with the address, and at DATA; the reply that refuses, such as "550 nobody of that name", or None."""


class _Handler:
    def __init__(self, arrivals: Arrivals, refuse: Refuse | None) -> None:
        self._arrivals = arrivals
        self._refuse = refuse

    async def handle_RCPT(self, *arguments: Any) -> str:  # noqa: N802 - aiosmtpd's name
        _server, _session, envelope, address, _options = arguments
        refusal = self._refuse("RCPT") or self._refuse(f"RCPT {address}") if self._refuse is not None else None
        if refusal is None:
            envelope.rcpt_tos.append(address)
        return refusal or "250 taken"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        refusal = self._refuse("DATA") if self._refuse is not None else None
        if refusal is None:
            self._arrivals.add(_arrival(message_from_bytes(envelope.content, policy=default), list(envelope.rcpt_tos)))
        return refusal or "250 taken"


def _arrival(mail: EmailMessage, recipients: list[str]) -> Arrival:
    text, html = mail.get_body(("plain",)), mail.get_body(("html",))
    headers = {name.lower(): str(value) for name, value in mail.items()}
    body = {
        "to": recipients,
        "text": text.get_content() if text else "",
        "html": html.get_content() if html else "",
    }
    return Arrival("email", str(mail["subject"]), headers, body)


def server(arrivals: Arrivals, port: int, refuse: Refuse | None = None) -> Controller:
    """A mail server on the loopback interface, not yet started."""
    return Controller(_Handler(arrivals, refuse), hostname="127.0.0.1", port=port, ready_timeout=20)
